import { AbortedTransactions } from "../../../codec/kafka/aborted-transactions.ts";
import { RecordBatchReader } from "../../../codec/kafka/record-batch-reader.ts";
import { KeyTable } from "../../../codec/key-table.ts";
import { type FetchedBytes } from "../../../contract/transport.ts";
import { type StreamLoop } from "../../task/stream-loop.ts";
import { newPartitionCounts, nextBatch, type PartitionReader } from "../partition-task.ts";
import { ForwardForm, ForwardHead } from "./forward-form.ts";
import { type StageProgress } from "./stage-progress.ts";

/** What a reader is made of. */
export interface ForwardReaderOptions {
  readonly partition: number;
  /** Whose plan it is: records of other plans are left alone. */
  readonly source: number;
  /** Keys of the join by slot. */
  readonly keys: readonly string[];
  /** The stream of each input of the join. */
  readonly loops: readonly StreamLoop[];
  readonly progress: StageProgress;
}

/**
 * One partition of a repartition topic: each record goes to the stream of its input.
 *
 *   D1  A record at or before the last taken of its input and key is dropped: a source that was
 *       restarted sends again what it had sent.
 *   D2  What is not of this plan is passed over and counted as foreign.
 */
export class ForwardReader implements PartitionReader {
  readonly partition: number;
  readonly keys: KeyTable;
  readonly loops: readonly StreamLoop[];
  readonly counts = newPartitionCounts();
  nextOffset = 0;
  readonly #options: ForwardReaderOptions;
  readonly #reader = new RecordBatchReader();
  readonly #aborted = new AbortedTransactions();
  readonly #head = new ForwardHead();
  readonly #forms: readonly ForwardForm[];

  constructor(options: ForwardReaderOptions) {
    this.#options = options;
    this.partition = options.partition;
    this.loops = options.loops;
    this.keys = new KeyTable({ keysMax: Math.max(1, options.keys.length) });
    for (const key of options.keys) {
      const bytes = new TextEncoder().encode(key);
      this.keys.slotOf(bytes, 0, bytes.length);
    }
    this.#forms = options.loops.map(
      ({ node }, input) => new ForwardForm(node.schema, options.source, input),
    );
  }

  consume(fetched: FetchedBytes): void {
    const reader = this.#reader;
    reader.open(fetched.bytes);
    this.#aborted.begin(fetched.abortedTransactions ?? []);
    this.counts.bytes += fetched.bytes.length;
    while (nextBatch(reader, this.counts)) {
      if (this.#aborted.accepts(reader)) this.#takeBatch();
      if (reader.nextOffset > this.nextOffset) this.nextOffset = reader.nextOffset;
    }
  }

  #takeBatch(): void {
    const { bytes, count, records, view } = this.#reader;
    const { keyAt, keyLength, offset, valueAt, valueLength } = records;
    let slot = -1;
    for (let i = 0; i < count; i += 1) {
      if (offset[i]! < this.nextOffset) continue;
      this.counts.records += 1;
      const length = keyLength[i]!;
      slot = length < 0 ? -1 : this.keys.slotAfter(slot, bytes, keyAt[i]!, length);
      const isHead = slot >= 0 && this.#head.read(view, valueAt[i]!, valueLength[i]!);
      if (!isHead || !this.#take(slot, i)) this.counts.foreign += 1;
    }
  }

  /** False if it is not this plan's (D2). */
  #take(slot: number, i: number): boolean {
    const { bytes, records, view } = this.#reader;
    const { input, isMark, source, time } = this.#head;
    const loop = this.loops[input];
    if (source !== this.#options.source || loop === undefined) return false;
    if (isMark) {
      this.#options.progress.mark(loop.node.index, slot, time);
      return true;
    }
    const form = this.#forms[input]!;
    if (!form.read(view, bytes, records.valueAt[i]!, records.valueLength[i]!)) return false;
    const at = loop.store.reserve(slot);
    form.copyTo(loop.store, at);
    loop.take(slot, at, form.seq); // D1 is the stream's own rule: equal is a duplicate, older late
    return true;
  }
}
