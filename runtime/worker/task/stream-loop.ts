import { type ColumnBatch } from "../../contract/columns.ts";
import { type GraphNode } from "../../graph/graph.ts";
import { type ColumnStore } from "../../window/column-store.ts";
import { type NodeProfile } from "../node-profile.ts";
import { Chain, type ChainedCall } from "./chain.ts";
import { chainCode } from "./code/chain-code.ts";
import { compileTake, type TakeColumns, type TakeRow } from "./code/take-code.ts";
import { type NodeOutput } from "./node-output.ts";

/** Counts of one stream in a task. */
export interface StreamCounts {
  accepted: number;
  late: number;
  duplicate: number;
}

/** How a stream's chain is run. */
export interface StreamLoopOptions {
  readonly output: NodeOutput;
  readonly slots: number;
  readonly calls: readonly ChainedCall[];
  /** `heartbeat[0]` names the node that runs. */
  readonly heartbeat: Int32Array;
  readonly profile?: NodeProfile | undefined;
  /** True: the plain loop over nodes, the oracle of the generated one. */
  readonly isInterpreted: boolean;
}

/**
 * One stream of a task: takes its records in rising time per key and runs what hangs on it.
 *
 *   P1  A record at or before the newest of its key is late (or a duplicate) and fires nothing.
 *   P2  Nodes on this stream alone run before `take` returns.
 */
export class StreamLoop {
  readonly node: GraphNode;
  readonly store: ColumnStore;
  readonly counts: StreamCounts = { accepted: 0, late: 0, duplicate: 0 };
  /** Newest seq by slot: with the newest ts, the identity of the newest record. */
  readonly lastSeq: Float64Array;
  readonly #output: NodeOutput;
  readonly #chain: Chain;
  /**
   * Takes the record that lies at the store's reserved place `at` (columns `stride` apart) as the
   * next of `slot`: it becomes a row, or is late and is not kept.
   */
  readonly take: TakeRow;
  /** Takes rows `from` to `to` of a batch as the next records of `slot`. */
  readonly takeColumns: TakeColumns;
  /** Column of closeTime among ts and fields, 0 if there is none. */
  readonly #closeTimeColumn: number;

  constructor(node: GraphNode, options: StreamLoopOptions) {
    this.node = node;
    this.#output = options.output;
    this.store = options.output.store;
    this.lastSeq = new Float64Array(options.slots);
    const chain = new Chain(node, options.calls, options.slots, options.heartbeat);
    this.#chain = chain;
    this.#closeTimeColumn = Object.keys(node.schema).indexOf("closeTime") + 1;
    const code = options.isInterpreted
      ? undefined
      : chainCode(node, options.calls, options.heartbeat, options.profile);
    const { takeRow, takeColumns } = compileTake(node, {
      ids: [node, ...options.calls.map(({ call }) => call.node)].map((one) => one.definitionId),
      output: options.output,
      lastSeq: this.lastSeq,
      counts: this.counts,
      chain: code,
      step: (slot, close) => chain.step(slot, close),
      closeThrough: chain.isEven ? undefined : (slot, time) => chain.closeThrough(slot, time),
      closeOf: (ts, closeTime) => this.closeOf(ts, closeTime),
      late: (slot, at, seq) => this.#late(slot, at, seq),
      closeTimeColumn: this.#closeTimeColumn,
    });
    this.take = takeRow;
    this.takeColumns = takeColumns;
  }

  /** A bar's close: the next boundary; an off-grid bar's is closeTime + 1 rounded up to the grid. */
  closeOf(ts: number, closeTime: number): number {
    const { interval } = this.node;
    if (Number.isNaN(closeTime) || interval.floor(ts) === ts) return interval.closeOf(ts);
    return interval.ceil(closeTime + 1);
  }

  /** closeTime of row `row` of a batch; NaN if the schema has none. */
  closeTimeOf(batch: ColumnBatch, row: number): number {
    return this.#closeTimeColumn === 0
      ? Number.NaN
      : batch.columns[this.#closeTimeColumn - 1]![row]!;
  }

  /** Every record of `slot` that closed by `time` has been taken. */
  closeThrough(slot: number, time: number): void {
    this.#chain.closeThrough(slot, time);
  }

  /** Forgets the interval that has begun for node `node`. */
  forget(node: number): void {
    this.#chain.forget(node);
  }

  /** Floats by slot that a checkpoint keeps beside the rows. */
  get floats(): readonly Float64Array[] {
    return [this.lastSeq, ...this.#chain.pending];
  }

  /** True if `closeThrough` may have something to do. */
  get hasCoarser(): boolean {
    return !this.#chain.isEven;
  }

  #closeTimeAt(at: number): number {
    if (this.#closeTimeColumn === 0) return Number.NaN;
    return this.store.values[at + this.#closeTimeColumn * this.store.stride]!;
  }

  #late(slot: number, at: number, seq: number): void {
    const { store, counts } = this;
    const { stride, values } = store;
    const ts = values[at]!;
    if (ts === store.newestTs(slot) && seq === this.lastSeq[slot]) {
      counts.duplicate += 1;
      return;
    }
    if (this.node.onLate === "drop") {
      counts.late += 1;
      return;
    }
    const row = Array.from({ length: store.columnCount }, (_, i) => values[at + i * stride]!);
    const place = store.insert(slot, ts);
    if (place < 0) {
      counts.duplicate += 1;
      return;
    }
    counts.late += 1;
    for (const [i, value] of row.entries()) values[place + i * stride] = value;
    this.#output.tell(slot, this.closeOf(ts, this.#closeTimeAt(place)), place);
  }
}
