import {
  type ColumnBatch,
  type FieldKind,
  rowAtTime,
  type Series,
  sliceColumns,
  type TimeRange,
} from "../../runtime/index.ts";
import { type Connection } from "./server/connection.ts";
import { type PgQuery } from "./server/pg-connection.ts";
import { type PgKind } from "./server/pg-rows.ts";
import { columnsOf, microseconds } from "./tables.ts";

const kindOf = {
  f64: "float8",
  i64: "int8",
  u64: "int8",
  u32: "int8",
  bool: "int4",
} as const satisfies Record<FieldKind, PgKind>;

/** What is read. */
export interface RowsWanted {
  readonly table: string;
  readonly series: Series;
  /** Whole ms, inside the server's time. */
  readonly range: TimeRange;
}

/** Where a page begins: at `ms`; with `afterSeq`, among the rows of that ms only. */
interface Cursor {
  readonly ms: number;
  readonly afterSeq: number | undefined;
}

/**
 * Rows page by page, each a query of its own from where the last one ended: a slow reader holds
 * nothing open in the server (H5), no query runs into the server's time limit, and a page whose
 * connection broke is asked for again. The next page is under way while the caller uses one.
 *
 *   P1  The server keeps rows by ts, not by seq: rows of one ts are sorted here.
 *   P2  A full page may end inside of one ts. So its last ts is left to the next page; only if the
 *       page is all one ts, the server sorts that ts by seq and it is read in pages by seq.
 */
export async function* readRows(
  server: Connection,
  wanted: RowsWanted,
  signal: AbortSignal,
): AsyncIterable<ColumnBatch> {
  const { pages } = server;
  const columnCount = Object.keys(wanted.series.schema).length;
  let target = pages.take(columnCount);
  let spare: ColumnBatch | undefined;
  const rowsMax = target.count;
  const ending = new AbortController();
  const both = AbortSignal.any([signal, ending.signal]);
  const query = queryOf(wanted, rowsMax);
  const ask = async (at: Cursor, page: ColumnBatch): Promise<ColumnBatch> => {
    const count = await server.read(query(at), page, both);
    return { ...page, count };
  };
  let cursor: Cursor = { ms: wanted.range.start, afterSeq: undefined };
  let asked: Promise<ColumnBatch> | undefined;
  try {
    while (cursor.ms < wanted.range.end) {
      const page = await (asked ?? ask(cursor, target));
      const { rows, next } = cutPage(page, cursor, rowsMax);
      cursor = next ?? { ms: wanted.range.end, afterSeq: undefined };
      asked = undefined;
      if (cursor.ms < wanted.range.end) {
        spare ??= pages.take(columnCount);
        [target, spare] = [spare, target];
        asked = ask(cursor, target);
        // It may fail before the caller comes back for it.
        asked.catch(() => undefined);
      }
      sortBySeq(rows);
      if (rows.count > 0) yield rows;
      signal.throwIfAborted();
    }
    // A reader that stops before may still use its batch.
    for (const page of [target, spare]) if (page !== undefined) pages.give(page);
  } finally {
    ending.abort();
    await Promise.allSettled([asked]);
  }
}

/** A page's query: the same text for all pages of all series of a table, so it is compiled once. */
function queryOf({ table, series, range }: RowsWanted, rowsMax: number): (at: Cursor) => PgQuery {
  const columns = Object.entries(columnsOf(series.schema));
  const kinds: readonly PgKind[] = ["int8", "int8", ...columns.map(([, kind]) => kindOf[kind])];
  const names = columns.map(([name]) => `"${name}"`).join(", ");
  const where = "node_id = $1 AND ts >= $2 AND ts < $3 AND removed = false";
  const select = `SELECT ts::long / 1000, seq, ${names} FROM "${table}" WHERE ${where}`;
  const byTime = `${select} ORDER BY ts LIMIT ${rowsMax}`;
  const bySeq = `${select} AND seq > $4 ORDER BY seq LIMIT ${rowsMax}`;
  return ({ ms, afterSeq }) => {
    const end = afterSeq === undefined ? range.end : ms + 1;
    const values = [series.nodeId, BigInt(microseconds(ms)), BigInt(microseconds(end))];
    if (afterSeq === undefined) return { sql: byTime, values, kinds };
    return { sql: bySeq, values: [...values, BigInt(afterSeq)], kinds };
  };
}

/** The rows of `page` that are whole (P2), and where the next page begins if there is one. */
function cutPage(
  page: ColumnBatch,
  cursor: Cursor,
  rowsMax: number,
): { readonly rows: ColumnBatch; readonly next: Cursor | undefined } {
  const isFull = page.count === rowsMax;
  const lastMs = page.ts[page.count - 1] ?? Number.NaN;
  const lastSeq = page.seq[page.count - 1] ?? Number.NaN;
  const rows = sliceColumns(page, 0, page.count);
  if (cursor.afterSeq !== undefined) {
    const after = isFull ? lastSeq : undefined;
    return { rows, next: { ms: after === undefined ? cursor.ms + 1 : cursor.ms, afterSeq: after } };
  }
  if (!isFull) return { rows, next: undefined };
  const whole = rowAtTime(rows, lastMs);
  const afterSeq = whole === 0 ? Number.MIN_SAFE_INTEGER : undefined;
  return { rows: sliceColumns(page, 0, whole), next: { ms: lastMs, afterSeq } };
}

/** Sorts the rows of each ts by seq, in place (P1); one pass over bars, which need nothing. */
function sortBySeq(rows: ColumnBatch): void {
  const { count, ts, seq } = rows;
  for (let row = 1; row < count; row += 1) {
    if (ts[row] !== ts[row - 1] || (seq[row] ?? 0) > (seq[row - 1] ?? 0)) continue;
    let from = row - 1;
    while (from > 0 && ts[from - 1] === ts[row]) from -= 1;
    let to = row + 1;
    while (to < count && ts[to] === ts[row]) to += 1;
    sortRun(rows, from, to);
    row = to;
  }
}

function sortRun({ seq, columns }: ColumnBatch, from: number, to: number): void {
  const order = Uint32Array.from({ length: to - from }, (_, i) => from + i);
  order.sort((a, b) => (seq[a] ?? 0) - (seq[b] ?? 0));
  for (const column of [seq, ...columns]) {
    const sorted = Float64Array.from(order, (row) => column[row] ?? Number.NaN);
    column.set(sorted, from);
  }
}
