import { AbortedTransactions } from "../../codec/kafka/aborted-transactions.ts";
import { RecordBatchReader } from "../../codec/kafka/record-batch-reader.ts";
import { KeyTable } from "../../codec/key-table.ts";
import { ValueDecoder } from "../../codec/wire/value-decoder.ts";
import { WireLayout } from "../../codec/wire/wire-layout.ts";
import { compileWireRead, type WireRead } from "../../codec/wire/wire-reader.ts";
import { type FetchedBytes } from "../../contract/transport.ts";
import { type Graph, type GraphNode } from "../../graph/graph.ts";
import { type NodeProfile } from "../node-profile.ts";
import { type OutputSink } from "../task/node-output.ts";
import { type StreamLoop } from "../task/stream-loop.ts";
import { Task, type TaskOptions } from "../task/task.ts";
import { inputMarkOf } from "./repartition/forward-form.ts";
import { type WaitingJoin } from "./repartition/pending-hold.ts";

/** Bytes of a key, at most: a longer one is no symbol. */
const keyBytesMax = 1_024;

/** A record that is no record: what the dead-letter topic gets. */
export interface DeadLetter {
  readonly partition: number;
  readonly offset: number;
  /** Why, in one word: `key_missing`, `key_too_long`, `keys_max`, or a fault of the value. */
  readonly reason: string;
  readonly key: Uint8Array | undefined;
  readonly value: Uint8Array | undefined;
}

/** Counts of a partition since its task began. */
export interface PartitionCounts {
  records: number;
  bytes: number;
  slowPath: number;
  deadLetters: number;
  /** Records that are not for this plan: of keys that the stream does not name, of other plans. */
  foreign: number;
  /** Time in which batches were checked, unpacked and walked. */
  decodeMs: number;
}

/** Counts of a partition of which nothing was read. */
export function newPartitionCounts(): PartitionCounts {
  return { records: 0, bytes: 0, slowPath: 0, deadLetters: 0, foreign: 0, decodeMs: 0 };
}

/** `reader.next()`, its time counted. */
export function nextBatch(reader: RecordBatchReader, counts: PartitionCounts): boolean {
  const startedMs = performance.now();
  const isThere = reader.next();
  counts.decodeMs += performance.now() - startedMs;
  return isThere;
}

/** Takes the bytes of one partition of a topic and feeds streams with them. */
export interface PartitionReader {
  readonly partition: number;
  /** Keys by slot. */
  readonly keys: KeyTable;
  /** The streams that it feeds. */
  readonly loops: readonly StreamLoop[];
  readonly counts: PartitionCounts;
  /** Offset after the last batch that was taken, whatever became of it. */
  nextOffset: number;
  /** Offset from which a restart has to read: `nextOffset`, or before it. */
  readonly restartOffset: number;

  /** Takes the records of one answer from `nextOffset` on; at most one answer at a time. */
  consume(fetched: FetchedBytes): void;

  /** The join that can't go on for want of an input, if one waits for this reader's records. */
  readonly waiting?: WaitingJoin | undefined;

  /** Goes back to records that were left out, if there is room for them: then `nextOffset` falls. */
  rewind?(): boolean;
}

/** What a partition's task is made of. */
export interface PartitionOptions {
  readonly graph: Graph;
  readonly stream: GraphNode;
  readonly partition: number;
  readonly sink: (task: PartitionTask) => OutputSink;
  readonly onDeadLetter: (letter: DeadLetter) => void;
  readonly quarantined: ReadonlySet<number>;
  readonly isPoisoning: boolean;
  readonly heartbeat: Int32Array;
  readonly profile?: NodeProfile | undefined;
  /** Told of each accepted record: the store's place of its row, after the plan ran for it. */
  readonly onRow: ((loop: StreamLoop, at: number) => void) | undefined;
  /** A task that takes more streams than this one; without, it has a task of its own. */
  readonly shared?: Task | undefined;
  /** What a task of its own is made of beside. */
  readonly own?: Pick<TaskOptions, "nodes" | "taps">;
  /** Told of each mark: no record that closed by `time` comes any more. */
  readonly onMark?: ((time: number) => void) | undefined;
}

/**
 * One partition of a stream: record batches in, windows and nodes, outputs out.
 *
 *   L1  A record is read where it lies: key bytes → slot, value bytes → the window's next row.
 *   L2  Every record is counted once: accepted, late, duplicate, dead letter or foreign.
 *   L3  `nextOffset` is the offset after the last batch that was taken, whatever became of it.
 *   L4  `heartbeat[0]` names a node only while it, or what follows it in the record, runs.
 */
export class PartitionTask implements PartitionReader {
  readonly partition: number;
  readonly task: Task;
  readonly keys: KeyTable;
  readonly loop: StreamLoop;
  readonly loops: readonly StreamLoop[];
  readonly counts = newPartitionCounts();
  nextOffset = 0;
  readonly #reader = new RecordBatchReader();
  readonly #aborted = new AbortedTransactions();
  readonly #read: WireRead;
  readonly #decoder: ValueDecoder;
  readonly #options: PartitionOptions;

  constructor(options: PartitionOptions) {
    const { stream } = options;
    this.#options = options;
    this.partition = options.partition;
    const keysMax = Math.max(1, stream.takesAnyKey ? stream.maxKeys : stream.keys.length);
    this.keys = new KeyTable({ keysMax, keyBytesMax });
    for (const { key } of stream.keys) {
      const bytes = new TextEncoder().encode(key);
      this.keys.slotOf(bytes, 0, bytes.length);
    }
    this.task = options.shared ?? this.#newTask(keysMax);
    this.loop = this.task.streamOf(stream.index);
    this.loops = [this.loop];
    const layout = WireLayout.of(stream.schema);
    this.#read = compileWireRead(layout);
    this.#decoder = new ValueDecoder(layout);
  }

  get restartOffset(): number {
    return this.nextOffset;
  }

  /** Takes the records of one answer from `nextOffset` on; at most one answer at a time. */
  consume(fetched: FetchedBytes): void {
    const reader = this.#reader;
    reader.open(fetched.bytes);
    this.#aborted.begin(fetched.abortedTransactions ?? []);
    this.counts.bytes += fetched.bytes.length;
    const { heartbeat } = this.#options;
    for (;;) {
      // L4: what goes wrong from here on is no node's doing until one runs.
      heartbeat[0] = -1;
      if (!nextBatch(reader, this.counts)) break;
      if (this.#aborted.accepts(reader)) this.#takeBatch();
      if (reader.nextOffset > this.nextOffset) this.nextOffset = reader.nextOffset;
    }
    heartbeat[0] = -1;
    this.task.flush();
  }

  #newTask(keysMax: number): Task {
    const options = this.#options;
    const { stream } = options;
    return new Task({
      graph: options.graph,
      owns: () => true,
      sink: options.sink(this),
      ...options.own,
      // Listed keys have the slots of the graph, which are those of the table too.
      ...(stream.takesAnyKey
        ? { metKeys: { slotsMax: keysMax, keyOf: (slot: number) => this.keys.textOf(slot) } }
        : {}),
      quarantined: options.quarantined,
      isPoisoning: options.isPoisoning,
      heartbeat: options.heartbeat,
      profile: options.profile,
    });
  }

  #takeBatch(): void {
    const reader = this.#reader;
    const { bytes, view, records, count } = reader;
    const { keyAt, keyLength, valueAt, valueLength, offset } = records;
    const { keys, loop } = this;
    const { store } = loop;
    const { stride, values } = store;
    const read = this.#read;
    const { onRow } = this.#options;
    // Records below the position asked for come first in their batch, if at all.
    let first = 0;
    while (first < count && offset[first]! < this.nextOffset) first += 1;
    this.counts.records += count - first;
    let slot = -1;
    for (let i = first; i < count; i += 1) {
      const length = keyLength[i]!;
      slot = length < 0 ? -1 : keys.slotAfter(slot, bytes, keyAt[i]!, length);
      if (slot < 0) {
        this.#refuseKey(i);
        continue;
      }
      const at = store.reserve(slot);
      if (!read(view, bytes, valueAt[i]!, valueLength[i]!, values, at, stride)) {
        if (!this.#readSlowly(i, at)) continue;
      }
      loop.take(slot, at, 0);
      if (onRow !== undefined) onRow(loop, at);
    }
  }

  /** The value is not in the fixed form: any other MessagePack or JSON gives the same row. */
  #readSlowly(i: number, at: number): boolean {
    const { records, bytes } = this.#reader;
    this.counts.slowPath += 1;
    this.#options.heartbeat[0] = -1;
    const start = records.valueAt[i]!;
    const length = records.valueLength[i]!;
    const fault = this.#decoder.decode(bytes, start, length);
    if (fault === undefined) {
      this.#decoder.copyTo(this.loop.store.values, at, this.loop.store.stride);
      return true;
    }
    this.#bury(i, fault);
    return false;
  }

  /** The key has no slot: a stream that lists its keys leaves others alone. */
  #refuseKey(i: number): void {
    this.#options.heartbeat[0] = -1;
    const { records, view } = this.#reader;
    const length = records.keyLength[i]!;
    if (length < 0) {
      const time = inputMarkOf(view, records.valueAt[i]!, records.valueLength[i]!);
      if (Number.isNaN(time)) this.#bury(i, "key_missing");
      else this.#options.onMark?.(time);
    } else if (!this.#options.stream.takesAnyKey) this.counts.foreign += 1;
    else this.#bury(i, length > keyBytesMax ? "key_too_long" : "keys_max");
  }

  #bury(i: number, reason: string): void {
    const { records, bytes } = this.#reader;
    this.counts.deadLetters += 1;
    const copy = (start: number, length: number): Uint8Array | undefined =>
      length < 0 ? undefined : new Uint8Array(bytes.subarray(start, start + length));
    this.#options.onDeadLetter({
      partition: this.partition,
      offset: records.offset[i]!,
      reason,
      key: copy(records.keyAt[i]!, records.keyLength[i]!),
      value: copy(records.valueAt[i]!, records.valueLength[i]!),
    });
  }
}
