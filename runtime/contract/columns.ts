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
