import { type ColumnBatch } from "../../../contract/columns.ts";
import { runGenerated } from "../../../core/generated.ts";
import { type GraphNode } from "../../../graph/graph.ts";
import { type NodeOutput } from "../node-output.ts";
import { type ChainCode, type ChainStep, compileChain } from "./chain-code.ts";

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
  /** The same as text; undefined if a node needs the generic loop. */
  readonly chain: ChainCode | undefined;
  /** Runs what closed by `time`; undefined if no interval is coarser than the stream's. */
  readonly closeThrough: ((slot: number, time: number) => void) | undefined;
  readonly closeOf: (ts: number, closeTime: number) => number;
  readonly late: (slot: number, at: number, seq: number) => void;
  /** Column of closeTime among ts and fields, 0 if there is none. */
  readonly closeTimeColumn: number;
}

/** Nodes whose text goes into the loop over a batch; more of them are called (measured: above 4). */
const inlineMax = 4;

/** Rows that are copied before the nodes run for them, at most: what is near in the cache then. */
const copiedMax = 256;

/**
 * How a stream's records are taken, as generated functions: every column is a line of its own, all
 * arrays are constants. Writing ten columns by a loop over arrays of arrays took 5 times as long.
 */
export function compileTake(
  stream: GraphNode,
  parts: TakeParts,
): { readonly takeRow: TakeRow; readonly takeColumns: TakeColumns } {
  const { chain } = parts;
  const inline = chain !== undefined && chain.nodes <= inlineMax ? chain : undefined;
  const step =
    chain === undefined || inline !== undefined
      ? parts.step
      : compileChain(chain, parts.output.store);
  const values = { ...valuesOf(parts), step, ...inline?.values };
  // The IDs keep other nodes' functions out of what the engine learns of this text.
  const text = `"use strict"; /* ${parts.ids.join(" ")} */ ${inline?.outer ?? ""}
${takeRowText(stream, parts, inline)}
${takeOneText(stream, parts, inline)}
${copyText}
${takeColumnsText(stream, parts, inline)}
return { takeRow, takeColumns };`;
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what the text returns
  return runGenerated(text, values) as ReturnType<typeof compileTake>;
}

function valuesOf(parts: TakeParts): Readonly<Record<string, unknown>> {
  const { closeOf, closeThrough, counts, lastSeq, late, output } = parts;
  const { store } = output;
  const { closes, ends, rows, stamps, values: a } = store;
  const arrays = { a, closes, ends, rows, stamps, store };
  return Object.assign(arrays, { closeOf, closeThrough, counts, lastSeq, late, output });
}

/** One record that lies at the reserved place. */
function takeRowText(stream: GraphNode, parts: TakeParts, chain: ChainCode | undefined): string {
  return `function takeRow(k, at, seq) {
const ts = a[at];
${rowText(stream, parts, chain)}
}`;
}

/** One row of a batch: as `takeRow`, in one piece, for a call costs as much as a light node. */
function takeOneText(stream: GraphNode, parts: TakeParts, chain: ChainCode | undefined): string {
  const { columnCount, slotSize, stride } = parts.output.store;
  const write = columnsBut(columnCount, (i) => `a[at + ${(i + 1) * stride}] = c[${i}][row];`);
  return `function takeOne(k, batch, row) {
const end = ends[k], c = batch.columns, ts = batch.ts[row], seq = batch.seq[row];
const at = end === ${stride} ? store.reserve(k) : k * ${slotSize} + end;
a[at] = ts; ${write}
${rowText(stream, parts, chain)}
}`;
}

/** What follows where a record with `ts` and `seq` lies at `at`. */
function rowText(stream: GraphNode, parts: TakeParts, chain: ChainCode | undefined): string {
  const { output, closeThrough } = parts;
  const { store, taps } = output;
  return `if (rows[k] !== 0 && !(ts > a[at - 1]) && (ts < a[at - 1] || seq <= lastSeq[k])) {
late(k, at, seq); return; }
${closeThrough === undefined ? "" : "closeThrough(k, ts);"}
const last = closes[k], close = ${closeText(stream, parts, "at")};
const held = rows[k] < ${store.period} ? rows[k] + 1 : ${store.period};
ends[k] += 1; rows[k] = held; stamps[k] += 1; closes[k] = close; lastSeq[k] = seq;
counts.accepted += 1;
const stamp = stamps[k] | 0, top = at + 1;
${taps.length === 0 ? "" : "output.tell(k, close, at);"}
${chain === undefined ? "step(k, close);" : guarded(chain)}`;
}

/**
 * Copies values to `a`, four a turn: half of a turn's cost is the turn itself. `set` would need a view,
 * which is an object, for each column.
 */
const copyText = `function copy(from, start, end, at) {
const shift = at - start;
let i = start;
for (; i + 3 < end; i += 4) {
a[i + shift] = from[i]; a[i + shift + 1] = from[i + 1];
a[i + shift + 2] = from[i + 2]; a[i + shift + 3] = from[i + 3]; }
for (; i < end; i += 1) a[i + shift] = from[i];
}`;

/**
 * Rows of a batch. Those that come one after the other are copied column by column: they are no rows
 * of the store until their turn comes. What a record reads of its slot is in locals; where nodes are
 * called instead of being here, it is written through.
 */
function takeColumnsText(
  stream: GraphNode,
  parts: TakeParts,
  chain: ChainCode | undefined,
): string {
  const { closeThrough, output } = parts;
  const { store, taps } = output;
  const { columnCount, period, slotSize, stride } = store;
  const open = columnsBut(columnCount, (i) => `const c${i} = batch.columns[${i}];`);
  const copy = columnsBut(columnCount, (i) => `copy(c${i}, row, next, top + ${(i + 1) * stride});`);
  const save =
    "ends[k] = top - base; rows[k] = held; stamps[k] = before + row - first; closes[k] = close;";
  return `function takeColumns(k, batch, from, to) {
if (to - from === 1) { takeOne(k, batch, from); return; }
const T = batch.ts, Q = batch.seq; ${open}
const base = k * ${slotSize}, full = base + ${stride};
${chain?.head ?? ""}
for (let row = from; row < to;) {
let top = base + ends[k], held = rows[k], close = closes[k];
if (top === full) top = store.reserve(k);
let ts = held === 0 ? -Infinity : a[top - 1], seq = lastSeq[k];
const most = Math.min(to, row + full - top, row + ${copiedMax});
let next = row;
while (next < most && (T[next] > ts || (T[next] === ts && Q[next] > seq))) {
ts = T[next]; seq = Q[next]; next += 1; }
if (next === row) { takeOne(k, batch, row); row += 1; continue; }
copy(T, row, next, top);
${copy}
const first = row, before = stamps[k];
let stamp = before | 0;
let failing;
try {
while (row < next) {
const at = top, last = close, ts = T[row];
${closeThrough === undefined ? "" : "closeThrough(k, ts);"}
close = ${closeText(stream, parts, "at")};
row += 1; top += 1; stamp = (stamp + 1) | 0; if (held < ${period}) held += 1;
${chain === undefined ? save : ""}
${taps.length === 0 ? "" : "failing = undefined; output.tell(k, close, at);"}
${chain?.body ?? "step(k, close);"}
}
} catch (error) { throw failing === undefined ? error : failing.failed(error, k, close);
} finally { ${save} if (row > first) lastSeq[k] = Q[row - 1]; counts.accepted += row - first; }
}
}`;
}

/** A text for each column but ts. */
function columnsBut(columnCount: number, textOf: (i: number) => string): string {
  return Array.from({ length: columnCount - 1 }, (_, i) => textOf(i)).join("\n");
}

/** Nodes that run in line: what throws names the call that did. */
function guarded({ head, body }: ChainCode): string {
  return `let failing;
${head}
try {
${body}
} catch (error) { throw failing === undefined ? error : failing.failed(error, k, close); }`;
}

/** Close of the record with open time `ts` at `at`; `last` is that of the record before it. */
function closeText({ interval }: GraphNode, parts: TakeParts, at: string): string {
  const { closeTimeColumn, output } = parts;
  const given =
    closeTimeColumn === 0 ? "NaN" : `a[${at} + ${closeTimeColumn * output.store.stride}]`;
  const found = `closeOf(ts, ${given})`;
  // A bar that opens where the last one closed lies on the grid: no division needed.
  return interval.isFixed ? `last === ts ? ts + ${interval.lengthMs} : ${found}` : found;
}
