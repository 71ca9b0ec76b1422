import {
  assert,
  type ColumnBatch,
  type Interval,
  QmtlError,
  rowAtTime,
  sliceColumns,
} from "../../runtime/index.ts";

/**
 * Rows of one series inside one cell of a grid of 1,024 intervals, as one blob. With `n` rows:
 *
 *   ts       Float64[n]   little-endian, ms since epoch
 *   seq      Float64[n]
 *   columns  Float64[n]   one per schema field, in schema order; NaN = no value
 *
 *   K1  Column after column, without padding: the blob has n × 8 × (2 + fields) bytes.
 *   K2  Rows rise strictly by (ts, seq) and lie in the cell, which opens at bar k × 1,024.
 *   K3  A cell without rows has no chunk.
 *
 * Rejected: a row per bar (0.4 M bars/s written and 1.0 to 1.3 read against 1.2 and 9 to 20), and
 * compression, which would cost the reads more than it saves in space.
 */
export const chunkIntervals = 1_024;

/** Bytes of a chunk, at most: SQLite itself refuses a blob of 1,000,000,000 bytes. */
export const chunkBytesMax = 2 ** 28;

// Float64Array has the machine's own byte order, and every platform of Bun is little-endian.
assert(new Uint8Array(new Uint16Array([1]).buffer)[0] === 1, "the machine is little-endian");

/** Rows of a page that share a cell, as views on the page. */
export interface ChunkPiece {
  /** Opening time of the cell. */
  readonly start: number;
  readonly rows: ColumnBatch;
}

/** Cuts `rows` at the borders of the grid; O(cells × log rows). */
export function* splitByGrid(rows: ColumnBatch, interval: Interval): Iterable<ChunkPiece> {
  let from = 0;
  while (from < rows.count) {
    const bar = interval.indexOf(rows.ts[from] ?? Number.NaN);
    const cell = Math.floor(bar / chunkIntervals) * chunkIntervals;
    const to = rowAtTime(rows, interval.openOf(cell + chunkIntervals));
    assert(to > from, "K2: a row lies in its cell");
    yield { start: interval.openOf(cell), rows: sliceColumns(rows, from, to) };
    from = to;
  }
}

/** Writes chunks into memory of its own that it uses again. */
export class ChunkEncoder {
  #scratch = new Float64Array(chunkIntervals * 16);

  /**
   * The blob of `rows` (K1), valid until the next call.
   *
   * @throws QmtlError STORE_REJECTED if it would exceed `chunkBytesMax`.
   */
  encode(rows: ColumnBatch): Uint8Array {
    const { count } = rows;
    const length = count * (2 + rows.columns.length);
    if (length * 8 > chunkBytesMax) {
      throw new QmtlError(
        "STORE_REJECTED",
        `Cannot store ${count} rows: they share one stretch of ${chunkIntervals} intervals and take ${length * 8} bytes, wanted at most ${chunkBytesMax}`,
      );
    }
    if (length > this.#scratch.length) this.#scratch = new Float64Array(length * 2);
    const scratch = this.#scratch;
    scratch.set(rows.ts.subarray(0, count), 0);
    scratch.set(rows.seq.subarray(0, count), count);
    let at = 2 * count;
    for (const column of rows.columns) {
      scratch.set(column.subarray(0, count), at);
      at += count;
    }
    return new Uint8Array(scratch.buffer, 0, length * 8);
  }
}

/** The rows of a blob as views on its memory, undefined if its length is not what K1 says. */
export function decodeChunk(
  blob: Uint8Array,
  count: number,
  columnCount: number,
): ColumnBatch | undefined {
  if (blob.length !== count * 8 * (2 + columnCount)) return undefined;
  const aligned = blob.byteOffset % 8 === 0 ? blob : blob.slice();
  const all = new Float64Array(aligned.buffer, aligned.byteOffset, blob.length / 8);
  const columnAt = (i: number): Float64Array => all.subarray(i * count, (i + 1) * count);
  const columns = Array.from({ length: columnCount }, (_, i) => columnAt(i + 2));
  return { count, ts: columnAt(0), seq: columnAt(1), columns };
}
