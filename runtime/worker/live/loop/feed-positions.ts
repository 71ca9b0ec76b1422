import {
  type FetchedBytes,
  type FetchLimits,
  type FetchPosition,
  type PartitionEnds,
  type Transport,
} from "../../../contract/transport.ts";
import { assert } from "../../../core/assert.ts";
import { hasCode, isStop, QmtlError } from "../../../core/errors.ts";
import { type BoardRow } from "../board.ts";
import { type LiveOrder, type OffsetReset } from "../live-order.ts";
import { type LivePartition } from "../live-task.ts";

/** A feed, as far as fetching goes. */
export type Feed = Pick<LivePartition, "topic" | "isInput" | "isHeld" | "position"> & {
  readonly reader: Pick<LivePartition["reader"], "partition" | "nextOffset">;
};

/** What positions are read and moved by. */
export interface FeedPositionsOptions {
  readonly order: Pick<LiveOrder, "offsetReset" | "pace">;
  readonly transport: Pick<Transport, "endsOf" | "fetch" | "offsetAt">;
  /** Where positions that were lost are counted. */
  readonly row: BoardRow;
}

/**
 * Where the fetches of a thread begin: it owns the position of each feed.
 *
 *   P1  Feeds of one partition of one topic share its fetch: it begins at the hindmost of them.
 *   P2  A feed that is held is not fetched, and takes nothing of what is on its way.
 *   P3  Nor does one that has gone back since the fetch began: the answer is behind a gap.
 *   P4  A position that is gone moves to where `offsetReset` says, and is counted; one in a
 *       repartition topic moves to the oldest record, as its beginning is not the user's to choose.
 */
export class FeedPositions<Own extends Feed = LivePartition> {
  readonly #offsetReset: OffsetReset;
  readonly #limits: FetchLimits;
  readonly #transport: FeedPositionsOptions["transport"];
  readonly #row: BoardRow;
  /** By topic and partition: several streams may read one topic. */
  readonly #byName = new Map<string, Own[]>();
  /** Feeds that have gone back while a fetch was on its way. */
  readonly #stale = new Set<Own>();

  constructor({ order, transport, row }: FeedPositionsOptions) {
    const { fetchWaitMsMax, lingerMs, partitionBytesMax, fetchBytesMax } = order.pace;
    this.#offsetReset = order.offsetReset;
    // Outputs that linger are sent between two fetches.
    const waitMsMax = lingerMs > 0 ? Math.min(fetchWaitMsMax, lingerMs) : fetchWaitMsMax;
    this.#limits = { waitMsMax, partitionBytesMax, bytesMax: fetchBytesMax };
    this.#transport = transport;
    this.#row = row;
  }

  /** Takes a feed in; its position is its caller's to set. */
  add(feed: Own): void {
    const name = `${feed.reader.partition} ${feed.topic}`;
    this.#byName.set(name, [...(this.#byName.get(name) ?? []), feed]);
  }

  /** Where a feed begins that has no position: behind what was forwarded before there was one. */
  async startOf({ isInput, topic, reader }: Feed, signal: AbortSignal): Promise<number> {
    if (!isInput) return (await this.#endsAt(topic, reader.partition, signal)).end;
    return await this.#startAt(topic, reader.partition, signal);
  }

  /** What is there of a feed's partition. */
  async endsOf({ topic, reader }: Feed, signal: AbortSignal): Promise<PartitionEnds> {
    return await this.#endsAt(topic, reader.partition, signal);
  }

  /** What is next of all feeds. Calls never overlap. */
  async fetch(signal: AbortSignal): Promise<readonly FetchedBytes[]> {
    const positions = nextOf([...this.#byName.values()]);
    return await this.#transport.fetch(positions, this.#limits, signal);
  }

  /** What is next of `feeds`, from where their readers are; no other fetch is on its way. */
  async fetchAgain(feeds: readonly Own[], signal: AbortSignal): Promise<readonly FetchedBytes[]> {
    for (const feed of feeds) feed.position = feed.reader.nextOffset;
    this.#stale.clear();
    const positions = nextOf(feeds.map((feed) => [feed]));
    const pending = this.#transport.fetch(positions, this.#limits, signal);
    return await this.answersOf(pending, signal);
  }

  /** What the fetch brings; nothing if a position was lost and `offsetReset` has moved it. */
  async answersOf(
    pending: Promise<readonly FetchedBytes[]>,
    signal: AbortSignal,
  ): Promise<readonly FetchedBytes[]> {
    try {
      return await pending;
    } catch (error) {
      if (isStop(error, signal)) return [];
      if (!hasCode(error, "OFFSET_OUT_OF_RANGE")) throw error;
      if (this.#offsetReset === "fail") {
        throw new QmtlError(
          "OFFSET_OUT_OF_RANGE",
          `${error.message}; give offsetReset ("earliest", "latest" or a time in ms; --offset-reset on the command line) to go on from there`,
          error.details,
          error,
        );
      }
      await this.#reset(error, signal);
      return [];
    }
  }

  /** The next fetch begins behind `answer`. */
  ahead(answer: FetchedBytes): void {
    for (const feed of this.readersOf(answer)) {
      feed.position = Math.max(feed.position, answer.nextOffset);
    }
  }

  /** Who takes an answer (P2, P3). */
  readersOf({ partition, topic }: FetchedBytes): readonly Own[] {
    const feeds = this.#byName.get(`${partition} ${topic}`) ?? [];
    return feeds.filter((feed) => !feed.isHeld && !this.#stale.has(feed));
  }

  /** All answers of a fetch have been taken: who went back before has a new one on its way. */
  taken(): void {
    this.#stale.clear();
  }

  /** A feed's reader has gone back: what is on its way to it is not taken (P3). */
  goBack(feed: Own): void {
    feed.position = feed.reader.nextOffset;
    this.#stale.add(feed);
  }

  /** Moves the lost position of a partition, and counts it: what lay between is gone (P4). */
  async #reset({ details }: QmtlError, signal: AbortSignal): Promise<void> {
    const topic = String(details["topic"]);
    const partition = Number(details["partition"]);
    const feeds = this.#byName.get(`${partition} ${topic}`) ?? [];
    const ends = await this.#endsAt(topic, partition, signal);
    const offset = feeds.some(({ isInput }) => isInput)
      ? await this.#startAt(topic, partition, signal)
      : ends.start;
    for (const feed of feeds) {
      if (feed.position >= ends.start && feed.position <= ends.end) continue;
      feed.position = offset;
      feed.reader.nextOffset = offset;
      this.#row.add("offsetResets", 1);
    }
  }

  /** Where `offsetReset` says that a partition begins. */
  async #startAt(topic: string, partition: number, signal: AbortSignal): Promise<number> {
    const reset = this.#offsetReset;
    if (typeof reset === "number") {
      return await this.#transport.offsetAt(topic, partition, reset, signal);
    }
    const ends = await this.#endsAt(topic, partition, signal);
    return reset === "latest" ? ends.end : ends.start;
  }

  async #endsAt(topic: string, partition: number, signal: AbortSignal): Promise<PartitionEnds> {
    const [ends] = await this.#transport.endsOf(topic, [partition], signal);
    assert(ends !== undefined, "a transport answers for each partition");
    return ends;
  }
}

/** Where the next fetch begins, topic by topic and partition by partition (P1, P2). */
function nextOf(all: readonly (readonly Feed[])[]): readonly FetchPosition[] {
  const feeds = all.map((readers) => readers.filter(({ isHeld }) => !isHeld));
  const open = feeds.filter((readers) => readers.length > 0);
  return open.map((readers) => ({
    topic: readers[0]!.topic,
    partition: readers[0]!.reader.partition,
    offset: Math.min(...readers.map(({ position }) => position)),
  }));
}
