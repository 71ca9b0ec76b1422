/**
 * Records of one node and key, column after column, in rising order of (ts, seq).
 *
 *   ts       Float64[count]   open time, ms since epoch
 *   seq      Float64[count]   0 for bars, the trade id for trades
 *   columns  Float64[count]   one per schema field, in schema order; NaN = no value
 *
 * The arrays may be longer than `count`; what lies beyond is not part of the batch.
 */
export interface ColumnBatch {
  readonly count: number;
  readonly ts: Float64Array;
  readonly seq: Float64Array;
  readonly columns: readonly Float64Array[];
}

/** A batch of `count` rows of zeros, to be filled. */
export function newColumnBatch(count: number, columnCount: number): ColumnBatch {
  const columns = Array.from({ length: columnCount }, () => new Float64Array(count));
  return { count, ts: new Float64Array(count), seq: new Float64Array(count), columns };
}

/** Rows `from` to `to` of `batch`, as views on the same memory. */
export function sliceColumns(batch: ColumnBatch, from: number, to: number): ColumnBatch {
  return {
    count: to - from,
    ts: batch.ts.subarray(from, to),
    seq: batch.seq.subarray(from, to),
    columns: batch.columns.map((column) => column.subarray(from, to)),
  };
}

/** The rows of all `batches` after each other, copied into new memory. */
export function concatColumns(batches: readonly ColumnBatch[], columnCount: number): ColumnBatch {
  const count = batches.reduce((sum, batch) => sum + batch.count, 0);
  const all = newColumnBatch(count, columnCount);
  let at = 0;
  for (const batch of batches) {
    const part = sliceColumns(batch, 0, batch.count);
    all.ts.set(part.ts, at);
    all.seq.set(part.seq, at);
    for (const [i, column] of part.columns.entries()) all.columns[i]?.set(column, at);
    at += batch.count;
  }
  return all;
}

/** Index of the first row with `ts >= timeMs`, `batch.count` if there is none. O(log n). */
export function rowAtTime(batch: ColumnBatch, timeMs: number): number {
  let low = 0;
  let high = batch.count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((batch.ts[middle] ?? Number.NaN) < timeMs) low = middle + 1;
    else high = middle;
  }
  return low;
}

/**
 * The rows of `stored` and `rows` in rising order of (ts, seq), copied into new memory; of two rows
 * with one identity the one of `rows` stays: a revision. Both must rise strictly and have the same
 * columns. One allocation per column; a plain append is copied column by column.
 */
export function mergeColumns(stored: ColumnBatch, rows: ColumnBatch): ColumnBatch {
  if (
    stored.count === 0 ||
    rows.count === 0 ||
    compareRows(stored, stored.count - 1, rows, 0) < 0
  ) {
    return concatColumns([stored, rows], rows.columns.length);
  }
  const sources = new Int32Array(stored.count + rows.count);
  const count = mergeOrder(stored, rows, sources);
  const merged = newColumnBatch(count, rows.columns.length);
  gather(stored.ts, rows.ts, sources, merged.ts);
  gather(stored.seq, rows.seq, sources, merged.seq);
  for (const [i, target] of merged.columns.entries()) {
    gather(stored.columns[i] ?? target, rows.columns[i] ?? target, sources, target);
  }
  return merged;
}

/** Sign of the order of row `i` of `a` and row `j` of `b` by (ts, seq). */
function compareRows(a: ColumnBatch, i: number, b: ColumnBatch, j: number): number {
  const byTime = (a.ts[i] ?? Number.NaN) - (b.ts[j] ?? Number.NaN);
  return byTime === 0 ? (a.seq[i] ?? Number.NaN) - (b.seq[j] ?? Number.NaN) : byTime;
}

/** Fills `sources` with row `i` of `stored` as `i` and row `j` of `rows` as `-1 - j`; returns the count. */
function mergeOrder(stored: ColumnBatch, rows: ColumnBatch, sources: Int32Array): number {
  let count = 0;
  let i = 0;
  let j = 0;
  while (i < stored.count || j < rows.count) {
    const order = i === stored.count ? 1 : j === rows.count ? -1 : compareRows(stored, i, rows, j);
    if (order < 0) sources[count] = i;
    else sources[count] = -1 - j;
    if (order <= 0) i += 1;
    if (order >= 0) j += 1;
    count += 1;
  }
  return count;
}

function gather(
  stored: Float64Array,
  rows: Float64Array,
  sources: Int32Array,
  target: Float64Array,
): void {
  for (let at = 0; at < target.length; at += 1) {
    const source = sources[at] ?? 0;
    target[at] = (source >= 0 ? stored[source] : rows[-1 - source]) ?? Number.NaN;
  }
}

/**
 * What is wrong with `batch` as rows of a series with `columnCount` fields, undefined if nothing:
 * arrays too short, an identity that is no number, rows that do not rise strictly by (ts, seq).
 */
export function faultOfRows(batch: ColumnBatch, columnCount: number): string | undefined {
  if (batch.columns.length !== columnCount) {
    return `it has ${batch.columns.length} columns, wanted ${columnCount}`;
  }
  const arrays = [batch.ts, batch.seq, ...batch.columns];
  if (arrays.some((array) => array.length < batch.count)) {
    return `a column is shorter than the count of ${batch.count} rows`;
  }
  for (let i = 0; i < batch.count; i += 1) {
    if (!Number.isFinite(batch.ts[i]) || !Number.isFinite(batch.seq[i])) {
      return `row ${i} has ts ${batch.ts[i]} and seq ${batch.seq[i]}, wanted numbers`;
    }
    if (i > 0 && compareRows(batch, i - 1, batch, i) >= 0) {
      return `row ${i} does not come after row ${i - 1} by (ts, seq)`;
    }
  }
  return undefined;
}
