import { type Clock } from "../../runtime/index.ts";

const minuteMs = 60_000;
/** The shortest ban; it doubles each time, up to three days. */
const banSecondsMin = 120;
const banSecondsMax = 3 * 86_400;

/** What the exchange makes of one more request. */
export type Verdict =
  | { readonly kind: "ok" }
  | { readonly kind: "limited" | "banned"; readonly retryAfterSeconds: number };

/**
 * The exchange's side of the weight limit, for the one address that loopback is.
 *
 *   C1  The count starts anew at each wall-clock minute and counts refused requests too.
 *   C2  Beyond the limit: 429 until the minute's end. `banAfter` more requests before then: 418,
 *       for 2 minutes, then 4, 8 … up to 3 days.
 */
export class WeightCounter {
  readonly #clock: Clock;
  readonly #limit: number;
  readonly #banAfter: number;
  #minute = Number.NEGATIVE_INFINITY;
  #used = 0;
  #peak = 0;
  #limitedUntilMs = Number.NEGATIVE_INFINITY;
  #bannedUntilMs = Number.NEGATIVE_INFINITY;
  #stoppedAtMs = Number.NEGATIVE_INFINITY;
  #strikes = 0;
  #bans = 0;
  #early = 0;

  constructor(limit: number, banAfter: number, clock: Clock) {
    this.#limit = limit;
    this.#banAfter = banAfter;
    this.#clock = clock;
  }

  /** Weight counted in the current minute. */
  get used(): number {
    return this.#used;
  }

  /** The most weight counted in any minute. */
  get peak(): number {
    return this.#peak;
  }

  /** Requests that came while they were told not to, later than the ms in which they were told. */
  get earlyCount(): number {
    return this.#early;
  }

  /** Counts a request of `weight`. */
  charge(weight: number): Verdict {
    const now = this.#clock.now();
    const minute = Math.floor(now / minuteMs);
    if (minute !== this.#minute) {
      this.#minute = minute;
      this.#used = 0;
    }
    this.#used += weight;
    this.#peak = Math.max(this.#peak, this.#used);
    if (now < this.#bannedUntilMs) return this.#refuse("banned", now);
    if (now < this.#limitedUntilMs) {
      this.#strikes += 1;
      if (this.#strikes <= this.#banAfter) return this.#refuse("limited", now);
      return this.stop("banned", Math.min(banSecondsMax, banSecondsMin * 2 ** this.#bans));
    }
    if (this.#used <= this.#limit) return { kind: "ok" };
    return this.stop("limited", Math.ceil((minuteMs - (now % minuteMs)) / 1_000));
  }

  /** Refuses everything for `seconds` from now on. */
  stop(kind: "limited" | "banned", seconds: number): Verdict {
    const now = this.#clock.now();
    this.#stoppedAtMs = now;
    this.#strikes = 0;
    if (kind === "limited") {
      this.#limitedUntilMs = now + seconds * 1_000;
    } else {
      this.#bannedUntilMs = now + seconds * 1_000;
      this.#bans += 1;
    }
    return { kind, retryAfterSeconds: seconds };
  }

  #refuse(kind: "limited" | "banned", now: number): Verdict {
    if (now > this.#stoppedAtMs) this.#early += 1;
    const untilMs = kind === "banned" ? this.#bannedUntilMs : this.#limitedUntilMs;
    return { kind, retryAfterSeconds: Math.ceil((untilMs - now) / 1_000) };
  }
}
