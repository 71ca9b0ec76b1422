import {
  batchSpan,
  type Details,
  type ErrorCode,
  type FetchedBytes,
  type FetchLimits,
  type FetchPosition,
  type PartitionEnds,
  QmtlError,
  type TopicSpec,
  type Transport,
} from "../../runtime/index.ts";
import { memoryTransportConfig, parseMemoryUrl } from "./config.ts";
import { PartitionLog } from "./partition-log.ts";
import { type Share, Shares } from "./shares.ts";

interface Data {
  readonly topics: Map<string, readonly PartitionLog[]>;
  /** Called once when something is produced; each removes itself. */
  readonly waiting: Set<() => void>;
}

/** Partitions of a topic, at most: each costs a log. */
const partitionsMax = 10_000;
const namePattern = /^[A-Za-z0-9._-]{1,249}$/;

const shares = new Shares<Data>();

/**
 * Opens `memory:` (a fresh log) or `memory:NAME` (shared by the openers of this thread while one is
 * open).
 *
 * @throws QmtlError CONFIG_INVALID for a URL it cannot read.
 */
export async function openTransport(url: string, signal: AbortSignal): Promise<Transport> {
  signal.throwIfAborted();
  const { name, bytesMax, batchBytesMax } = parseMemoryUrl(url, memoryTransportConfig);
  const share = shares.hold(name, () => ({
    topics: new Map<string, readonly PartitionLog[]>(),
    waiting: new Set<() => void>(),
  }));
  return new MemoryTransport(share, { bytesMax, batchBytesMax });
}

/**
 * A log inside one thread that holds the same bytes as Kafka's: record batches v2.
 *
 * A topic's retention in time and its replicas are Kafka's matter and are not kept here; what
 * bounds the log is `bytesMax` per partition. A reader that falls behind it is told so by
 * OFFSET_OUT_OF_RANGE, as with Kafka.
 */
class MemoryTransport implements Transport {
  readonly #share: Share<Data>;
  readonly #limits: { readonly bytesMax: number; readonly batchBytesMax: number };
  readonly #closing = new AbortController();
  /** Where the next answer begins, so that a full answer never starves the same partitions. */
  #turn = 0;

  constructor(share: Share<Data>, limits: { bytesMax: number; batchBytesMax: number }) {
    this.#share = share;
    this.#limits = limits;
  }

  async ensureTopic(spec: TopicSpec, signal: AbortSignal): Promise<void> {
    const { topics } = this.#data("make a topic", signal);
    const { name, partitions } = spec;
    const isCount = Number.isInteger(partitions) && partitions >= 1 && partitions <= partitionsMax;
    if (!namePattern.test(name) || !isCount) {
      throw new QmtlError(
        "TRANSPORT_REJECTED",
        `Cannot make the topic "${name}": it has ${partitions} partitions, wanted 1 to ${partitionsMax} and a name of 1 to 249 letters, digits, dots, dashes and underscores`,
      );
    }
    const found = topics.get(name)?.length ?? partitions;
    if (found !== partitions) {
      throw new QmtlError(
        "TOPIC_PARTITIONS_MISMATCH",
        `Cannot use the topic "${name}": it has ${found} partitions, wanted ${partitions}`,
        { topic: name, found, wanted: partitions },
      );
    }
    if (topics.has(name)) return;
    const makeLog = (): PartitionLog => new PartitionLog(this.#limits.bytesMax);
    topics.set(name, Array.from({ length: partitions }, makeLog));
  }

  async partitionsOf(topic: string, signal: AbortSignal): Promise<number> {
    return this.#topic(topic, signal).length;
  }

  async endsOf(
    topic: string,
    partitions: readonly number[],
    signal: AbortSignal,
  ): Promise<readonly PartitionEnds[]> {
    return partitions.map((partition) => {
      const { start, end } = this.#log(topic, partition, signal);
      return { start, end };
    });
  }

  async offsetAt(
    topic: string,
    partition: number,
    timeMs: number,
    signal: AbortSignal,
  ): Promise<number> {
    return this.#log(topic, partition, signal).offsetAt(timeMs);
  }

  async produce(
    topic: string,
    partition: number,
    batch: Uint8Array,
    signal: AbortSignal,
  ): Promise<number> {
    const log = this.#log(topic, partition, signal);
    const bytesMax = Math.min(this.#limits.batchBytesMax, this.#limits.bytesMax);
    if (batch.length > bytesMax) {
      throw new QmtlError(
        "MESSAGE_TOO_LARGE",
        `Cannot produce to "${topic}": the batch has ${batch.length} bytes, wanted at most ${bytesMax}`,
        { topic, partition, bytes: batch.length, bytesMax },
      );
    }
    const offset = log.append(batch);
    for (const wake of this.#share.data.waiting) wake();
    return offset;
  }

  async fetch(
    positions: readonly FetchPosition[],
    limits: FetchLimits,
    signal: AbortSignal,
  ): Promise<readonly FetchedBytes[]> {
    const deadlineMs = performance.now() + limits.waitMsMax;
    for (;;) {
      this.#data("fetch", signal);
      const fetched = this.#read(positions, limits, signal);
      const waitMs = deadlineMs - performance.now();
      if (fetched.length > 0 || waitMs <= 0) return fetched;
      // No produce can fall between the read and the wait: there is no await between them.
      await this.#produced(waitMs, AbortSignal.any([signal, this.#closing.signal]));
    }
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#share.release();
  }

  #read(
    positions: readonly FetchPosition[],
    limits: FetchLimits,
    signal: AbortSignal,
  ): readonly FetchedBytes[] {
    const logs = positions.map((position) => this.#logAt(position, signal));
    const fetched: FetchedBytes[] = [];
    let budget = limits.bytesMax;
    this.#turn += 1;
    for (let i = 0; i < logs.length; i += 1) {
      const at = (this.#turn + i) % logs.length;
      const position = positions[at];
      const log = logs[at];
      if (position === undefined || log === undefined) continue;
      const firstBytesMax = fetched.length === 0 ? Number.POSITIVE_INFINITY : budget;
      const bytesMax = Math.min(limits.partitionBytesMax, budget);
      const found = log.read(position.offset, bytesMax, firstBytesMax);
      if (found === undefined) continue;
      const { topic, partition } = position;
      const { nextOffset } = batchSpan(found.bytes);
      fetched.push({ topic, partition, ...found, nextOffset, stableEnd: log.end });
      budget -= found.bytes.length;
    }
    return fetched;
  }

  /** Resolves when something is produced anywhere in this log, after `waitMs`, or on `stop`. */
  async #produced(waitMs: number, stop: AbortSignal): Promise<void> {
    const { waiting } = this.#share.data;
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        waiting.delete(wake);
        stop.removeEventListener("abort", wake);
        resolve();
      };
      const timer = setTimeout(wake, waitMs);
      waiting.add(wake);
      stop.addEventListener("abort", wake, { once: true });
    });
  }

  #logAt({ topic, partition, offset }: FetchPosition, signal: AbortSignal): PartitionLog {
    const log = this.#log(topic, partition, signal);
    const { start, end } = log;
    if (offset >= start && offset <= end) return log;
    throw this.#error("OFFSET_OUT_OF_RANGE", `fetch from offset ${offset} of "${topic}"`, {
      found: `partition ${partition} holds ${start} to ${end}, wanted an offset between them`,
      details: { topic, partition, offset, start, end },
    });
  }

  #log(topic: string, partition: number, signal: AbortSignal): PartitionLog {
    const logs = this.#topic(topic, signal);
    const log = logs[partition];
    if (log !== undefined) return log;
    throw this.#error("TOPIC_UNKNOWN", `use partition ${partition} of "${topic}"`, {
      found: `it has ${logs.length} partitions, wanted 0 to ${logs.length - 1}`,
      details: { topic, partition },
    });
  }

  #topic(topic: string, signal: AbortSignal): readonly PartitionLog[] {
    const logs = this.#data(`use the topic "${topic}"`, signal).topics.get(topic);
    if (logs !== undefined) return logs;
    throw this.#error("TOPIC_UNKNOWN", `use the topic "${topic}"`, {
      found: "there is none of that name, wanted one that was made",
      details: { topic },
    });
  }

  #data(action: string, signal: AbortSignal): Data {
    if (this.#closing.signal.aborted) {
      throw this.#error("TRANSPORT_CLOSED", action, {
        found: "the transport is closed, wanted it open",
        details: {},
      });
    }
    signal.throwIfAborted();
    return this.#share.data;
  }

  #error(code: ErrorCode, action: string, what: { found: string; details: Details }): QmtlError {
    return new QmtlError(code, `Cannot ${action}: ${what.found}`, what.details);
  }
}
