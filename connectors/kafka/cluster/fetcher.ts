import {
  type FetchedBytes,
  type FetchLimits,
  type FetchPosition,
  QmtlError,
  reasonOf,
} from "../../../runtime/index.ts";
import { type KafkaConfig } from "../config.ts";
import { errorAdvice, errorCode, errorName } from "../protocol/error-codes.ts";
import { type FetchedPartition } from "../protocol/fetch.ts";
import { type Channel } from "../session/channel.ts";
import { type Cluster, unknownMsMax } from "./cluster.ts";
import { FetchLane, type LaneAnswer } from "./fetch-lane.ts";
import { endsOf } from "./offsets.ts";

/** A broker with nothing new answers after this long: a seek waits behind it at most so long. */
const serverWaitMsMax = 500;
/** Rest of a lane whose broker had no answer for a partition, ms. */
const refusedRestMs = 100;

/**
 * Fetches from all leaders at once, a lane each; what the first of them has is returned.
 *
 *   F1  Bytes are handed out only for a position as it is asked for now: a request that was
 *       overtaken by a seek is dropped.
 *   F2  A lane begins a request only inside a call of `fetch`, so bytes of one call lie still until
 *       the second call after it.
 *   F3  A broker that does not answer never holds up what the others have.
 */
export class Fetcher {
  readonly #cluster: Cluster;
  readonly #config: KafkaConfig;
  readonly #lanes = new Map<Channel, FetchLane>();
  #wake: () => void = () => undefined;
  #isWoken = false;
  #leaderlessSinceMs: number | undefined;

  constructor(cluster: Cluster, config: KafkaConfig) {
    this.#cluster = cluster;
    this.#config = config;
    cluster.onChange = () => this.#notify();
  }

  /** See `Transport.fetch`. */
  async fetch(
    positions: readonly FetchPosition[],
    limits: FetchLimits,
    signal: AbortSignal,
  ): Promise<readonly FetchedBytes[]> {
    const endMs = performance.now() + limits.waitMsMax;
    for (;;) {
      signal.throwIfAborted();
      this.#isWoken = false;
      if (!(await this.#knowTopics(positions, endMs, signal))) return [];
      const found = this.#collect(positions);
      if (found.fetched.length > 0) return found.fetched;
      if (found.failure !== undefined) throw found.failure;
      if (found.outOfRange !== undefined) await this.#checkRange(found.outOfRange, signal);
      // Only now, so that a lane whose answer was empty or overtaken is asked again at once.
      const lanes = this.#ask(positions, limits);
      this.#throwFailure(lanes);
      const leftMs = endMs - performance.now();
      if (leftMs <= 0) return [];
      const rests = [...lanes].map(({ restMs }) => restMs).filter((restMs) => restMs > 0);
      const leaderless = this.#leaderlessSinceMs === undefined ? [] : [refusedRestMs];
      await this.#wait(Math.min(leftMs, ...rests, ...leaderless), signal);
    }
  }

  /** False if a topic's leaders could not be had by `endMs`: no broker answers. */
  async #knowTopics(
    positions: readonly FetchPosition[],
    endMs: number,
    signal: AbortSignal,
  ): Promise<boolean> {
    for (const { topic } of positions) {
      if (this.#cluster.peek(topic) !== undefined) continue;
      // A topic that is not there is told as such, even if that takes a little longer.
      const waitMs = Math.max(endMs - performance.now(), 2 * unknownMsMax);
      const late = Promise.withResolvers<boolean>();
      const timer = setTimeout(() => late.resolve(false), waitMs);
      const load = this.#cluster.topic(topic, signal).then(() => true);
      const isKnown = await Promise.race([load, late.promise]).finally(() => clearTimeout(timer));
      if (!isKnown) return false;
    }
    return true;
  }

  /** Asks each leader for its partitions; returns their lanes. */
  #ask(positions: readonly FetchPosition[], limits: FetchLimits): ReadonlySet<FetchLane> {
    const byLane = new Map<FetchLane, FetchPosition[]>();
    let isLeaderless = false;
    for (const position of positions) {
      const lane = this.#laneOf(position);
      const asked = lane === undefined ? undefined : byLane.get(lane);
      if (lane === undefined) isLeaderless = true;
      else if (asked === undefined) byLane.set(lane, [position]);
      else asked.push(position);
    }
    if (isLeaderless) this.#leaderlessSinceMs ??= performance.now();
    else this.#leaderlessSinceMs = undefined;
    const bytesMax = int32(limits.bytesMax / Math.max(1, byLane.size));
    for (const [lane, asked] of byLane) {
      lane.ask({
        positions: asked,
        isCommittedOnly: this.#config.isolation === "committed",
        waitMsMax: Math.max(0, Math.min(serverWaitMsMax, Math.ceil(limits.waitMsMax))),
        bytesMax,
        partitionBytesMax: Math.min(int32(limits.partitionBytesMax), bytesMax),
      });
    }
    for (const [channel, lane] of this.#lanes) {
      if (lane.isIdle && !byLane.has(lane)) this.#lanes.delete(channel);
    }
    return new Set(byLane.keys());
  }

  /** The leader's lane; undefined while there is no leader. */
  #laneOf({ topic, partition }: FetchPosition): FetchLane | undefined {
    const known = this.#cluster.peek(topic);
    if (known === undefined) return undefined;
    this.#cluster.checkPartition(topic, known, partition);
    const address = this.#cluster.leaderOf(known, partition);
    if (address === undefined) {
      this.#cluster.markStale(topic);
      return undefined;
    }
    const channel = this.#cluster.channel("fetch", address);
    let lane = this.#lanes.get(channel);
    if (lane === undefined) {
      lane = new FetchLane(channel, {
        onReady: () => this.#notify(),
        // It may no longer lead what it was asked for.
        onFailed: (asked) => {
          for (const one of asked) this.#cluster.markStale(one.topic);
        },
      });
      this.#lanes.set(channel, lane);
    }
    return lane;
  }

  /** Takes the answers that are there. */
  #collect(positions: readonly FetchPosition[]): Collected {
    const collected: Collected = { fetched: [], outOfRange: undefined, failure: undefined };
    for (const lane of this.#lanes.values()) {
      const answered = lane.take();
      if (answered === undefined) continue;
      const isRefused = answered.answer.errorCode !== errorCode.none;
      lane.rest(isRefused ? refusedRestMs : answered.answer.throttleMs);
      this.#sort(lane, answered, { wanted: byPartition(positions), collected });
    }
    return collected;
  }

  #sort(lane: FetchLane, { asked, answer }: LaneAnswer, { wanted, collected }: Sorting): void {
    const starved: FetchPosition[] = [];
    const askedAt = byPartition(asked);
    for (const part of answer.partitions) {
      const position = wanted.get(part.topic)?.get(part.partition);
      const offset = askedAt.get(part.topic)?.get(part.partition)?.offset;
      if (position === undefined || offset !== position.offset) continue; // F1
      if (part.errorCode !== errorCode.none) this.#onError(lane, part, { position, collected });
      else if (part.span.length > 0) collected.fetched.push(fetchedOf(part));
      else if (part.bytes.length > 0) starved.push(position);
    }
    lane.starved(starved);
  }

  #onError(
    lane: FetchLane,
    part: FetchedPartition,
    { position, collected }: { position: FetchPosition; collected: Collected },
  ): void {
    const { topic, partition, errorCode: code } = part;
    if (code === errorCode.offsetOutOfRange) {
      collected.outOfRange = position;
      return;
    }
    const advice = errorAdvice(code);
    if (advice === "leader") this.#cluster.markStale(topic);
    lane.rest(refusedRestMs);
    if (advice !== "never") return;
    const reason = errorName(code);
    collected.failure = new QmtlError(
      "TRANSPORT_REJECTED",
      `Cannot fetch partition ${partition} of "${topic}": the broker says ${reason}`,
      { topic, partition, reason },
    );
  }

  #throwFailure(lanes: ReadonlySet<FetchLane>): void {
    const { unavailableMsMax } = this.#config;
    for (const lane of lanes) {
      const { failure } = lane;
      if (failure === undefined) continue;
      const isPassing = failure.code === "TRANSPORT_UNAVAILABLE";
      if (isPassing && lane.failingMs < unavailableMsMax) continue;
      lane.failureTold();
      throw failure;
    }
    const sinceMs = this.#leaderlessSinceMs;
    if (sinceMs === undefined || performance.now() - sinceMs < unavailableMsMax) return;
    this.#leaderlessSinceMs = undefined;
    throw new QmtlError(
      "TRANSPORT_UNAVAILABLE",
      `Cannot fetch: a partition had no leader for ${unavailableMsMax} ms, wanted one`,
    );
  }

  /** @throws QmtlError OFFSET_OUT_OF_RANGE, unless a new leader only had to catch up. */
  async #checkRange(position: FetchPosition, signal: AbortSignal): Promise<void> {
    const { topic, partition, offset } = position;
    const [ends] = await endsOf(this.#cluster, topic, [partition], signal);
    const { start, end } = ends ?? { start: 0, end: 0 };
    if (offset >= start && offset <= end) return;
    throw new QmtlError(
      "OFFSET_OUT_OF_RANGE",
      `Cannot fetch from offset ${offset} of "${topic}": partition ${partition} holds ${start} to ${end}, wanted an offset between them`,
      { topic, partition, offset, start, end },
    );
  }

  #notify(): void {
    this.#isWoken = true;
    this.#wake();
  }

  /** Until something changed since this round began, at most `ms`. */
  async #wait(ms: number, signal: AbortSignal): Promise<void> {
    if (this.#isWoken) return;
    await new Promise<void>((resolve, reject) => {
      const end = (): void => {
        clearTimeout(timer);
        signal.removeEventListener("abort", stop);
        this.#wake = () => undefined;
        resolve();
      };
      const stop = (): void => {
        reject(reasonOf(signal));
        end();
      };
      const timer = setTimeout(end, ms);
      this.#wake = end;
      signal.addEventListener("abort", stop, { once: true });
    });
  }
}

interface Collected {
  readonly fetched: FetchedBytes[];
  outOfRange: FetchPosition | undefined;
  failure: QmtlError | undefined;
}

type ByPartition = ReadonlyMap<string, ReadonlyMap<number, FetchPosition>>;

interface Sorting {
  readonly wanted: ByPartition;
  readonly collected: Collected;
}

/** A limit as the wire can say it. */
function int32(limit: number): number {
  return Math.max(1, Math.min(2 ** 31 - 1, Math.floor(limit)));
}

function byPartition(positions: readonly FetchPosition[]): ByPartition {
  const byTopic = new Map<string, Map<number, FetchPosition>>();
  for (const position of positions) {
    const found = byTopic.get(position.topic);
    if (found === undefined) byTopic.set(position.topic, new Map([[position.partition, position]]));
    else found.set(position.partition, position);
  }
  return byTopic;
}

/** The whole batches of `part`. */
function fetchedOf({ bytes, span, aborted, ...part }: FetchedPartition): FetchedBytes {
  return {
    topic: part.topic,
    partition: part.partition,
    baseOffset: span.baseOffset,
    nextOffset: span.nextOffset,
    stableEnd: part.stableEnd,
    bytes: span.length === bytes.length ? bytes : bytes.subarray(0, span.length),
    ...(aborted.length === 0 ? {} : { abortedTransactions: aborted }),
  };
}
