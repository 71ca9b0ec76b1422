import { type ColumnBatch } from "../../../runtime/index.ts";

/** How a column comes: int64, float64 or int32, big-endian; NULL has no bytes and is a NaN. */
export type PgKind = "int8" | "float8" | "int4";

const widthOf = { int8: 8, float8: 8, int4: 4 } as const;
const headBytes = 7;
const lengthBytes = 4;

/**
 * Binary `DataRow` messages into columns, without an object per row:
 *
 *   'D'  int32 length  int16 columns  { int32 width (-1: NULL)  value }…
 *
 *   D1  A row without NULL has one known length, and is read at offsets that are fixed.
 *   D2  An int64 is read as a float64: exact within ±2^53, which is all that is ever written.
 */
export class DataRows {
  readonly #kinds: readonly PgKind[];
  readonly #target: readonly Float64Array[];
  readonly #rowsMax: number;
  readonly #rowBytes: number;
  readonly #offsets: readonly number[];
  #count = 0;

  constructor(kinds: readonly PgKind[], target: ColumnBatch) {
    this.#kinds = kinds;
    this.#target = [target.ts, target.seq, ...target.columns];
    this.#rowsMax = target.ts.length;
    const offsets: number[] = [];
    let at = headBytes;
    for (const kind of kinds) {
      offsets.push(at + lengthBytes);
      at += lengthBytes + widthOf[kind];
    }
    this.#offsets = offsets;
    this.#rowBytes = at;
  }

  /** Rows so far. */
  get count(): number {
    return this.#count;
  }

  /**
   * Reads the consecutive whole rows that begin at `start`; returns their end, `start` if none is
   * whole.
   *
   * @throws RangeError if there are more rows than asked for, or of another width.
   */
  take(view: DataView, start: number): number {
    const end = this.#takeFull(view, start);
    return end === start ? this.#takeOne(view, start) : end;
  }

  /** Rows without NULL, column after column (D1). */
  #takeFull(view: DataView, start: number): number {
    const rowBytes = this.#rowBytes;
    let rows = 0;
    let at = start;
    while (
      at + rowBytes <= view.byteLength &&
      view.getUint8(at) === 68 &&
      view.getInt32(at + 1) === rowBytes - 1
    ) {
      rows += 1;
      at += rowBytes;
    }
    this.#checkRoom(rows);
    for (let i = 0; i < this.#kinds.length; i += 1) {
      const column = this.#target[i];
      const offset = this.#offsets[i];
      if (column === undefined || offset === undefined) continue;
      const place = { start: start + offset, stride: rowBytes, into: this.#count, rows };
      readColumn(view, this.#kinds[i] ?? "int8", column, place);
    }
    this.#count += rows;
    return at;
  }

  #takeOne(view: DataView, start: number): number {
    const end = start + 1 + view.getInt32(start + 1);
    if (end > view.byteLength) return start;
    this.#checkRoom(1);
    let at = start + headBytes;
    for (const [i, kind] of this.#kinds.entries()) {
      const width = view.getInt32(at);
      at += lengthBytes;
      const column = this.#target[i];
      if (column === undefined) continue;
      if (width === -1) {
        column[this.#count] = Number.NaN;
        continue;
      }
      if (width !== widthOf[kind]) {
        throw new RangeError(`A column of ${width} bytes came, wanted ${widthOf[kind]}`);
      }
      readColumn(view, kind, column, { start: at, stride: 0, into: this.#count, rows: 1 });
      at += width;
    }
    this.#count += 1;
    return end;
  }

  #checkRoom(rows: number): void {
    if (this.#count + rows <= this.#rowsMax) return;
    throw new RangeError(`More than ${this.#rowsMax} rows came, wanted at most as many`);
  }
}

interface Place {
  /** Of the first value in the bytes, and from one to the next. */
  readonly start: number;
  readonly stride: number;
  /** First index in the column. */
  readonly into: number;
  readonly rows: number;
}

function readColumn(view: DataView, kind: PgKind, column: Float64Array, place: Place): void {
  const { stride, into } = place;
  const end = into + place.rows;
  let at = place.start;
  if (kind === "float8") {
    for (let row = into; row < end; row += 1, at += stride) column[row] = view.getFloat64(at);
  } else if (kind === "int8") {
    for (let row = into; row < end; row += 1, at += stride) {
      column[row] = view.getInt32(at) * 0x1_0000_0000 + view.getUint32(at + 4);
    }
  } else {
    for (let row = into; row < end; row += 1, at += stride) column[row] = view.getInt32(at);
  }
}
