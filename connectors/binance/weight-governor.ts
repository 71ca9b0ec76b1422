import { assert, type Clock, type QmtlError, reasonOf } from "../../runtime/index.ts";
import { type BinanceConfig } from "./config.ts";

const minuteMs = 60_000;

/** The part of the settings that bounds what is sent. */
export type GovernorLimits = Pick<
  BinanceConfig,
  "weightPerMinute" | "weightShareMax" | "requestsInFlightMax" | "stopMsMax"
>;

/** What an answer's headers say about the budget. */
export interface WeightNews {
  /** Weight the exchange has counted for this address in its current minute. */
  readonly usedWeight: number | undefined;
  /** The answer's `Date`, ms since epoch, whole seconds. */
  readonly dateMs: number | undefined;
}

/** No news: the request got no answer, or one without headers. */
export const noNews: WeightNews = { usedWeight: undefined, dateMs: undefined };

/**
 * Keeps all requests of one `Exchange` within the exchange's budget. One governor is shared by
 * all streams because one `Exchange` is; it is no global of the process, so that two runs in one
 * process do not meet. What other programs on the same address use is seen in the headers.
 *
 *   G1  At most `requestsInFlightMax` requests are under way; those that wait enter in order.
 *   G2  Weight entered in one minute of the exchange never exceeds `budget`; a request is counted
 *       when it enters, and the header's count replaces a lower one of ours.
 *   G3  The count starts anew at the exchange's wall-clock minute. Its clock is ours plus the
 *       largest (Date − time of receipt) seen, which is never ahead of it: a turn that we see, the
 *       exchange has seen. What is under way at the turn counts into the new minute.
 *   G4  After `stop(until)` nothing enters before `until`.
 */
export class WeightGovernor {
  readonly #clock: Clock;
  readonly #limits: GovernorLimits;
  readonly #waiting: (() => void)[] = [];
  #limit: number;
  #inFlight = 0;
  #weightInFlight = 0;
  #minute = Number.NEGATIVE_INFINITY;
  #used = 0;
  #offsetMs = Number.NEGATIVE_INFINITY;
  #stopUntilMs = Number.NEGATIVE_INFINITY;
  #stopReason: QmtlError | undefined;

  constructor(limits: GovernorLimits, clock: Clock) {
    this.#limits = limits;
    this.#limit = limits.weightPerMinute;
    this.#clock = clock;
  }

  /** Weight that may be used in a minute. */
  get budget(): number {
    return Math.max(1, Math.floor(this.#limit * this.#limits.weightShareMax));
  }

  /** Weight that may still be used in this minute. */
  get remaining(): number {
    this.#roll();
    return Math.max(0, this.budget - this.#used);
  }

  /** ms until the exchange's next minute. */
  get turnMs(): number {
    return minuteMs - (this.#serverNow() % minuteMs);
  }

  /** Takes over the exchange's own limit. */
  setLimit(weightPerMinute: number): void {
    this.#limit = weightPerMinute;
  }

  /**
   * Waits for the turn, the budget and the end of a stop. Each `enter` needs one `leave`.
   *
   * @throws QmtlError EXCHANGE_RATE_LIMITED or EXCHANGE_BANNED if a stop lasts longer than
   *   `stopMsMax`; the signal's reason if it aborts.
   */
  async enter(weight: number, signal: AbortSignal): Promise<void> {
    await this.#takeSlot(signal);
    try {
      for (let waitMs = this.#waitMs(weight); waitMs > 0; waitMs = this.#waitMs(weight)) {
        await this.#clock.sleep(waitMs, signal);
      }
    } catch (error) {
      this.#freeSlot();
      throw error;
    }
    this.#used += weight;
    this.#weightInFlight += weight;
  }

  /** Ends what `enter(weight)` began, and learns from the answer. */
  leave(weight: number, news: WeightNews): void {
    this.#weightInFlight -= weight;
    assert(this.#weightInFlight >= 0, "each leave() follows an enter()");
    this.#freeSlot();
    const { dateMs, usedWeight } = news;
    if (dateMs !== undefined) {
      this.#offsetMs = Math.max(this.#offsetMs, dateMs - this.#clock.now());
    }
    this.#roll();
    const isOfThisMinute = dateMs === undefined || Math.floor(dateMs / minuteMs) === this.#minute;
    if (usedWeight !== undefined && isOfThisMinute) {
      this.#used = Math.max(this.#used, usedWeight + this.#weightInFlight);
    }
  }

  /** Nothing enters before `untilMs` (our clock); `reason` is thrown where that is too long. */
  stop(untilMs: number, reason: QmtlError): void {
    if (untilMs <= this.#stopUntilMs) return;
    this.#stopUntilMs = untilMs;
    this.#stopReason = reason;
  }

  /** 0 if a request of `weight` may go now. */
  #waitMs(weight: number): number {
    const stopMs = this.#stopUntilMs - this.#clock.now();
    if (stopMs > this.#limits.stopMsMax && this.#stopReason !== undefined) throw this.#stopReason;
    if (stopMs > 0) return stopMs;
    this.#roll();
    // A request heavier than the whole budget goes alone: it could never go otherwise.
    const isWithin = this.#used === 0 || this.#used + weight <= this.budget;
    return isWithin ? 0 : this.turnMs;
  }

  #serverNow(): number {
    return this.#clock.now() + (Number.isFinite(this.#offsetMs) ? this.#offsetMs : 0);
  }

  #roll(): void {
    const minute = Math.floor(this.#serverNow() / minuteMs);
    if (minute <= this.#minute) return;
    this.#minute = minute;
    this.#used = this.#weightInFlight;
  }

  async #takeSlot(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#inFlight < this.#limits.requestsInFlightMax) {
      this.#inFlight += 1;
      return;
    }
    // The one that leaves hands its slot over, so the count stays as it is.
    await new Promise<void>((resolve, reject) => {
      const enter = (): void => {
        signal.removeEventListener("abort", abort);
        resolve();
      };
      const abort = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(enter), 1);
        reject(reasonOf(signal));
      };
      this.#waiting.push(enter);
      signal.addEventListener("abort", abort, { once: true });
    });
  }

  #freeSlot(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#inFlight -= 1;
    else next();
  }
}
