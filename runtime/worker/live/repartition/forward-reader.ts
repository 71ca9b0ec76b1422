import { AbortedTransactions } from "../../../codec/kafka/aborted-transactions.ts";
import { RecordBatchReader } from "../../../codec/kafka/record-batch-reader.ts";
import { KeyTable } from "../../../codec/key-table.ts";
import { type FetchedBytes } from "../../../contract/transport.ts";
import { type StreamLoop } from "../../task/stream-loop.ts";
import { type PlacedGate } from "../../task/task.ts";
import { newPartitionCounts, nextBatch, type PartitionReader } from "../partition-task.ts";
import { ForwardForm, ForwardHead } from "./forward-form.ts";
import { missingInput, type WaitingJoin } from "./pending-hold.ts";
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
  /** The join itself. */
  readonly join: PlacedGate;
  /** Bars of a key and input that may wait for the other inputs. */
  readonly pendingMax: number;
}

/**
 * One partition of a repartition topic: each record goes to the stream of its input.
 *
 *   D1  A record at or before the last taken of its input and key is dropped: a source that was
 *       restarted sends again what it had sent.
 *   D2  What is not of this plan is passed over and counted as foreign.
 *   D3  Where `pendingMax` bars of an input and key wait, the next ones are left out, and with them
 *       its marks; when half of them have gone on, the reader goes back to the first of these. What
 *       it meets again of others is dropped (D1). Pausing the topic instead would keep away what the
 *       bars wait for: it lies behind them.
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
  /** [input][slot]: offset of the first record that was left out (D3); Infinity if none was. */
  readonly #leftOut: readonly Float64Array[];
  #held = 0;

  constructor(options: ForwardReaderOptions) {
    this.#options = options;
    this.partition = options.partition;
    this.loops = options.loops;
    this.keys = KeyTable.of(options.keys);
    this.#forms = options.loops.map(
      ({ node }, input) => new ForwardForm(node.schema, options.source, input),
    );
    this.#leftOut = options.loops.map(() => {
      return new Float64Array(options.keys.length).fill(Number.POSITIVE_INFINITY);
    });
  }

  get restartOffset(): number {
    let offset = this.nextOffset;
    if (this.#held === 0) return offset;
    for (const own of this.#leftOut) for (const from of own) offset = Math.min(offset, from);
    return offset;
  }

  /** D3. */
  rewind(): boolean {
    if (this.#held === 0) return false;
    const { join, pendingMax } = this.#options;
    let to = this.nextOffset;
    for (const [input, own] of this.#leftOut.entries()) {
      for (const [slot, from] of own.entries()) {
        if (from === Number.POSITIVE_INFINITY) continue;
        if (join.gate.pendingOf(input, slot) > pendingMax / 2) continue;
        own[slot] = Number.POSITIVE_INFINITY;
        this.#held -= 1;
        to = Math.min(to, from);
      }
    }
    const isBack = to < this.nextOffset;
    this.nextOffset = to;
    return isBack;
  }

  /** What keeps the join from going on; undefined if nothing is left out. */
  get waiting(): WaitingJoin | undefined {
    if (this.#held === 0) return undefined;
    const { join, progress } = this.#options;
    const slot = Math.max(...this.#leftOut.map((own) => own.findIndex(Number.isFinite)));
    const input = missingInput(join, slot, progress);
    return { held: this.#held, join: join.node, input, slot };
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
    const { join, pendingMax, progress } = this.#options;
    const loop = this.loops[input];
    if (source !== this.#options.source || loop === undefined) return false;
    const leftOut = this.#leftOut[input]!;
    if (leftOut[slot] !== Number.POSITIVE_INFINITY) return true;
    if (isMark) {
      progress.mark(loop.node.index, slot, time);
      return true;
    }
    if (join.gate.pendingOf(input, slot) >= pendingMax) {
      leftOut[slot] = records.offset[i]!;
      this.#held += 1;
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
