import { type ColumnBatch } from "../../../contract/columns.ts";
import { runGenerated } from "../../../core/generated.ts";
import { type GraphNode } from "../../../graph/graph.ts";
import { type ColumnStore } from "../../../window/column-store.ts";
import { type NodeOutput } from "../node-output.ts";
import { type ChainStep } from "./chain-code.ts";

/** Takes the record at the store's reserved place `at` as the next of `slot`. */
export type TakeRow = (slot: number, at: number, seq: number) => void;

/** Takes rows `from` to `to` of a batch as the next records of `slot`. */
export type TakeColumns = (slot: number, batch: ColumnBatch, from: number, to: number) => void;

/** What generated code calls where a record is not the plain next bar. */
export interface TakeParts {
  /** Definition IDs of the stream and of the nodes that `step` runs. */
  readonly ids: readonly string[];
  readonly output: NodeOutput;
  readonly lastSeq: Float64Array;
  readonly counts: { accepted: number };
  readonly step: ChainStep;
  /** Runs what closed by `time`; undefined if no interval is coarser than the stream's. */
  readonly closeThrough: ((slot: number, time: number) => void) | undefined;
  readonly closeOf: (ts: number, closeTime: number) => number;
  readonly late: (slot: number, at: number, seq: number) => void;
  /** Column of closeTime among ts and fields, 0 if there is none. */
  readonly closeTimeColumn: number;
}

/**
 * How a stream's records are taken, as generated functions: every column is a line of its own, all
 * arrays are constants. Writing ten columns by a loop over arrays of arrays took 5 times as long.
 */
export function compileTake(
  stream: GraphNode,
  parts: TakeParts,
): { readonly takeRow: TakeRow; readonly takeColumns: TakeColumns } {
  const { store } = parts.output;
  const values = valuesOf(store, parts);
  const columns = Array.from({ length: store.columnCount - 1 }, (_, i) => i);
  const open = columns.map((i) => `const c${i} = batch.columns[${i}];`).join(" ");
  const write = columns.map((i) => `a[at + ${(i + 1) * store.stride}] = c${i}[row];`).join(" ");
  // The IDs keep other nodes' functions out of what the engine learns of this text.
  const text = `"use strict"; /* ${parts.ids.join(" ")} */
const takeRow = function takeRow(k, at, seq) {
${bodyOf(stream, parts, "return")}
};
const takeColumns = function takeColumns(k, batch, from, to) {
const T = batch.ts, Q = batch.seq; ${open}
for (let row = from; row < to; row += 1) {
const end = ends[k];
const at = end === ${store.stride} ? store.reserve(k) : k * ${store.slotSize} + end;
a[at] = T[row]; ${write}
const seq = Q[row];
${bodyOf(stream, parts, "continue")}
}
};
return { takeRow, takeColumns };`;
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what the text returns
  return runGenerated(text, values) as ReturnType<typeof compileTake>;
}

function valuesOf(store: ColumnStore, parts: TakeParts): Readonly<Record<string, unknown>> {
  const { closeOf, closeThrough, counts, lastSeq, late, output, step } = parts;
  const { closes, ends, rows, stamps, values: a } = store;
  const arrays = { a, closes, ends, rows, stamps, store };
  return Object.assign(arrays, { closeOf, closeThrough, counts, lastSeq, late, output, step });
}

/** From the written place `at` to the nodes; `leave` ends a record that is late. */
function bodyOf(stream: GraphNode, parts: TakeParts, leave: "return" | "continue"): string {
  const { store, taps } = parts.output;
  const { interval } = stream;
  const closeTime =
    parts.closeTimeColumn === 0 ? "NaN" : `a[at + ${parts.closeTimeColumn * store.stride}]`;
  // A bar that opens where the last one closed lies on the grid: no division needed.
  const close = interval.isFixed
    ? `closes[k] === ts ? ts + ${interval.lengthMs} : closeOf(ts, ${closeTime})`
    : `closeOf(ts, ${closeTime})`;
  return `const ts = a[at];
if (rows[k] !== 0 && !(ts > a[at - 1]) && (ts < a[at - 1] || seq <= lastSeq[k])) {
late(k, at, seq); ${leave}; }
${parts.closeThrough === undefined ? "" : "closeThrough(k, ts);"}
const close = ${close};
ends[k] += 1; if (rows[k] < ${store.period}) rows[k] += 1; stamps[k] += 1;
closes[k] = close; lastSeq[k] = seq; counts.accepted += 1;
${taps.length === 0 ? "" : "output.tell(k, close, at);"}
step(k, close);`;
}
