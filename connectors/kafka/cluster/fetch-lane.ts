import { type FetchPosition, QmtlError } from "../../../runtime/index.ts";
import { type FetchAnswer, type FetchQuery, fetchCall } from "../protocol/fetch.ts";
import { type Channel } from "../session/channel.ts";

/** An answer and what was asked for it. */
export interface LaneAnswer {
  readonly asked: readonly FetchPosition[];
  readonly answer: FetchAnswer;
}

/** What a lane reports, outside of any call. */
export interface LaneEvents {
  /** An answer or a failure is there. */
  onReady(): void;
  /** The broker did not answer for `asked`. */
  onFailed(asked: readonly FetchPosition[]): void;
}

/**
 * One broker's fetches, one at a time.
 *
 *   idle ── ask ──► asking ── answer ──► answered ── take ──► idle
 *     ▲                │ failed: rest
 *     └────────────────┘
 *
 * A request goes on when the fetch that sent it returns: its answer is there for the next one.
 */
export class FetchLane {
  readonly #channel: Channel;
  readonly #events: LaneEvents;
  #isAsking = false;
  #answered: LaneAnswer | undefined;
  #restsUntilMs = 0;
  /** When the last good answer was followed by a failure; undefined while all is well. */
  #failingSinceMs: number | undefined;
  #failure: QmtlError | undefined;
  #turn = 0;
  /** Partitions whose first batch did not fit: the broker sends only a request's first one whole. */
  #starved: readonly FetchPosition[] = [];

  constructor(channel: Channel, events: LaneEvents) {
    this.#channel = channel;
    this.#events = events;
  }

  /** True if nothing is on its way and nothing waits. */
  get isIdle(): boolean {
    return !this.#isAsking && this.#answered === undefined;
  }

  /** Why the last request failed; undefined after a good one. */
  get failure(): QmtlError | undefined {
    return this.#failure;
  }

  /** How long it has failed without a break, ms. */
  get failingMs(): number {
    return this.#failingSinceMs === undefined ? 0 : performance.now() - this.#failingSinceMs;
  }

  /** ms until it may ask again; 0 if it may. */
  get restMs(): number {
    return this.#isAsking ? 0 : Math.max(0, this.#restsUntilMs - performance.now());
  }

  /** Asks nothing for the next `ms`. */
  rest(ms: number): void {
    this.#restsUntilMs = Math.max(this.#restsUntilMs, performance.now() + ms);
  }

  /** The failure was told; the time it goes on for is counted anew. */
  failureTold(): void {
    this.#failingSinceMs = undefined;
    this.#failure = undefined;
  }

  /** These partitions come first in the next request. */
  starved(positions: readonly FetchPosition[]): void {
    this.#starved = positions;
  }

  /** Sends `query` unless a request is on its way, an answer waits, or the lane rests. */
  ask(query: FetchQuery): void {
    if (this.#isAsking || this.#answered !== undefined || this.restMs > 0) return;
    const asked = this.#inTurn(query.positions);
    this.#isAsking = true;
    void this.#request(asked, { ...query, positions: asked });
  }

  /** The answer that waits, once. */
  take(): LaneAnswer | undefined {
    const answered = this.#answered;
    this.#answered = undefined;
    return answered;
  }

  async #request(asked: readonly FetchPosition[], query: FetchQuery): Promise<void> {
    try {
      const answer = await this.#channel.call(fetchCall(query));
      this.#answered = { asked, answer };
      this.#failingSinceMs = undefined;
      this.#failure = undefined;
    } catch (error) {
      this.#failingSinceMs ??= performance.now();
      this.#failure = asQmtlError(error);
      this.rest(failureRestMs);
      this.#events.onFailed(asked);
    }
    this.#isAsking = false;
    this.#events.onReady();
  }

  /** Starved partitions first, then each of the others at the front in turn. */
  #inTurn(positions: readonly FetchPosition[]): readonly FetchPosition[] {
    if (positions.length < 2) return positions;
    this.#turn += 1;
    const start = this.#turn % positions.length;
    const turned = [...positions.slice(start), ...positions.slice(0, start)];
    const first = this.#starved;
    this.#starved = [];
    if (first.length === 0) return turned;
    const isFirst = ({ topic, partition }: FetchPosition): boolean =>
      first.some((one) => one.topic === topic && one.partition === partition);
    return [...turned.filter(isFirst), ...turned.filter((one) => !isFirst(one))];
  }
}

/** The channel waits longer with each failure; this only keeps the loop from spinning. */
const failureRestMs = 50;

function asQmtlError(error: unknown): QmtlError {
  if (error instanceof QmtlError) return error;
  return new QmtlError("TRANSPORT_UNAVAILABLE", "Cannot fetch: the request failed", {}, error);
}
