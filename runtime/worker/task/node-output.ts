import { type GraphNode } from "../../graph/graph.ts";
import { ColumnStore } from "../../window/column-store.ts";

/** Rows buffered per node before the sink is called. */
export const outputRowsMax = 4_096;

/** Outputs of one node on their way out: column after column, one slot (key) per row. */
export interface OutputRows {
  readonly count: number;
  readonly slots: Int32Array;
  /** Open time, ms; rising within a slot. */
  readonly ts: Float64Array;
  /** One per schema field, in schema order. */
  readonly columns: readonly Float64Array[];
}

/** Takes a node's buffered rows; the arrays are reused when it returns. */
export type OutputSink = (node: GraphNode, rows: OutputRows) => void;

/** A reader that keeps its own copies: told of each record as it is emitted. */
export interface OutputTap {
  /** The record's ts is at index `at` of the store's values. */
  take(slot: number, close: number, store: ColumnStore, at: number): void;
}

/**
 * Where one definition's records go inside a task: its own window store, the taps of joins, and
 * the buffer for the sink.
 *
 *   O1  A record reaches store, taps and buffer in this order, in one call.
 *   O2  Rows reach the sink in the order they were emitted.
 */
export class NodeOutput {
  readonly node: GraphNode;
  readonly store: ColumnStore;
  readonly taps: OutputTap[] = [];
  /** Records emitted, and those refused because a value was infinite or not of its kind. */
  emitted = 0;
  refused = 0;
  /** Rows buffered in `slots`, `ts` and `columns`; generated code appends to them as `emit` does. */
  count = 0;
  readonly slots: Int32Array;
  readonly ts: Float64Array;
  readonly columns: readonly Float64Array[];
  readonly #sink: OutputSink | undefined;

  constructor(node: GraphNode, slots: number, sink: OutputSink | undefined) {
    const fields = Object.keys(node.schema).length;
    this.node = node;
    this.store = new ColumnStore(Math.max(1, node.period), fields, slots);
    this.#sink = sink;
    const rows = sink === undefined ? 0 : outputRowsMax;
    this.slots = new Int32Array(rows);
    this.ts = new Float64Array(rows);
    this.columns = Array.from({ length: fields }, () => new Float64Array(rows));
  }

  /** Emits `values`, one per field; `close` is the time the record closes at. */
  emit(slot: number, ts: number, close: number, values: Float64Array): void {
    const { store } = this;
    const at = store.append(slot);
    const { stride } = store;
    store.values[at] = ts;
    for (let i = 0; i < values.length; i += 1) store.values[at + (i + 1) * stride] = values[i]!;
    store.closes[slot] = close;
    this.emitted += 1;
    if (this.taps.length > 0) this.tell(slot, close, at);
    if (this.#sink === undefined) return;
    const row = this.count;
    this.slots[row] = slot;
    this.ts[row] = ts;
    for (let i = 0; i < values.length; i += 1) this.columns[i]![row] = values[i]!;
    this.count = row + 1;
    if (this.count === outputRowsMax) this.flush();
  }

  /** True if someone takes the buffered rows. */
  get hasSink(): boolean {
    return this.#sink !== undefined;
  }

  /** Forgets the records that readers see. */
  forget(): void {
    const { store } = this;
    for (let slot = 0; slot < store.slots; slot += 1) {
      if (store.rows[slot]! > 0) store.clear(slot);
    }
  }

  /** Tells the taps of the store's row at index `at`. */
  tell(slot: number, close: number, at: number): void {
    for (const tap of this.taps) tap.take(slot, close, this.store, at);
  }

  /** Hands what is buffered to the sink. */
  flush(): void {
    if (this.count === 0 || this.#sink === undefined) return;
    const count = this.count;
    this.count = 0;
    this.#sink(this.node, { count, slots: this.slots, ts: this.ts, columns: this.columns });
  }
}
