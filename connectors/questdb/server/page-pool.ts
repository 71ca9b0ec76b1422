import { type ColumnBatch } from "../../../runtime/index.ts";

/** Rows of a page, at most: the contract's limit. */
const pageRowsMax = 65_536;
/** Values of a page: wide rows come in fewer. 8 MiB, of which what is filled is touched. */
const pageCells = 1_048_576;
/** Pages kept for the next reader: two readers' worth, 32 MiB. */
const idlePagesMax = 4;

/** Memory that rows are read into, used again: the first touch of a page takes as long as its rows. */
export class PagePool {
  readonly #idle: ArrayBuffer[] = [];

  /** A page for as many rows as there is room for; what is in it is not defined. */
  take(columnCount: number): ColumnBatch {
    const buffer = this.#idle.pop() ?? new ArrayBuffer(8 * pageCells);
    const count = Math.min(pageRowsMax, Math.floor(pageCells / (columnCount + 2)));
    const column = (i: number): Float64Array => new Float64Array(buffer, 8 * i * count, count);
    const columns = Array.from({ length: columnCount }, (_, i) => column(i + 2));
    return { count, ts: column(0), seq: column(1), columns };
  }

  /** Takes a page back that nobody reads any more. */
  give({ ts: { buffer } }: ColumnBatch): void {
    if (buffer instanceof ArrayBuffer && this.#idle.length < idlePagesMax) this.#idle.push(buffer);
  }
}
