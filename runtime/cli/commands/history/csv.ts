import { type ColumnBatch, newColumnBatch, sliceColumns } from "../../../contract/columns.ts";
import { kline } from "../../../contract/kline.ts";
import { QmtlError } from "../../../core/errors.ts";
import { type Interval } from "../../../core/interval.ts";

/** Rows of a file, at most: 8 years of minutes take 370 MB. */
const rowsMax = 4_194_304;
/** Times from here on are in µs: 2001 in µs, the year 33,658 in ms. */
const microsecondsMin = 1e15;
const names = ["openTime", ...Object.keys(kline)];
const closeTimeAt = names.indexOf("closeTime");
const integersAt: ReadonlySet<number> = new Set([closeTimeAt, names.indexOf("trades")]);
const integer = /^\d{1,16}$/;
const decimal = /^-?\d{1,20}(\.\d{1,20})?(e[+-]?\d{1,3})?$/i;
const fileName = /([^/\\]+)-([0-9]{1,2}(?:mo|[smhdwM]))-[^/\\]*\.csv$/u;

/** Where rows come from and what they are rows of. */
export interface CsvSource {
  /** Name of the file, for messages. */
  readonly name: string;
  readonly interval: Interval;
  /** Bars that close at this time or after it are not closed yet, ms. */
  readonly nowMs: number;
}

/**
 * Bars in the columns of the exchange's own archive, in the order of its API: openTime, open, high,
 * low, close, volume, closeTime, quoteVolume, trades, takerBuyBase, takerBuyQuote and, not always,
 * an unused 12th. A header is passed over, times are ms or µs, told by their size, row by row; an
 * empty cell is no value.
 *
 * @throws QmtlError RECORDED_DATA_INVALID naming file and line of the first row that is malformed,
 *   not after the row before it, not closed, or longer than a bar of the interval.
 */
export function parseBars(text: string, source: CsvSource): ColumnBatch {
  const lines = text.replace(/^\uFEFF/, "").split(/\r?\n/);
  if (lines.length > rowsMax) {
    throw invalid(source.name, `${lines.length} lines`, `at most ${rowsMax}, in parts`);
  }
  const rows = newColumnBatch(lines.length, names.length - 1);
  let count = 0;
  let sharedSlots = 0;
  for (const [i, line] of lines.entries()) {
    if (line === "" || (i === 0 && /^["a-z]/i.test(line))) continue;
    const origin = `${source.name}:${i + 1}`;
    fillRow(rows, count, line, origin);
    checkTimes(rows, count, source, origin);
    if (count > 0 && slotOf(rows, count, source) === slotOf(rows, count - 1, source)) {
      sharedSlots += 1;
    }
    count += 1;
  }
  if (count === 0) throw invalid(source.name, "no rows", "bars");
  // Around an outage two bars may open in one slot of the grid; most of a file do not.
  if (sharedSlots * 2 > count) {
    throw invalid(source.name, "several rows in each bar", `bars of ${source.interval.name}`);
  }
  return sliceColumns(rows, 0, count);
}

/** Symbol and interval as the archive names its files, `BTCUSDT-1m-2020-01.csv`. */
export function seriesOfFile(path: string): {
  readonly symbol: string | undefined;
  readonly interval: string | undefined;
} {
  const [, symbol, interval] = fileName.exec(path) ?? [];
  // The archive spells a month 1mo.
  return { symbol, interval: interval?.replace("mo", "M") };
}

function slotOf(rows: ColumnBatch, row: number, { interval }: CsvSource): number {
  return interval.floor(rows.ts[row] ?? Number.NaN);
}

function fillRow(rows: ColumnBatch, row: number, line: string, origin: string): void {
  const cells = line.split(",");
  if (cells.length !== names.length && cells.length !== names.length + 1) {
    throw invalid(origin, `${cells.length} cells`, `${names.length} or ${names.length + 1}`);
  }
  rows.ts[row] = timeOf(cells[0] ?? "", origin, 0);
  for (const [i, column] of rows.columns.entries()) {
    const cell = cells[i + 1] ?? "";
    column[row] =
      i + 1 === closeTimeAt ? timeOf(cell, origin, i + 1) : valueOf(cell, origin, i + 1);
  }
}

function checkTimes(rows: ColumnBatch, row: number, source: CsvSource, origin: string): void {
  const openMs = rows.ts[row] ?? Number.NaN;
  const closeMs = rows.columns[closeTimeAt - 1]?.[row] ?? Number.NaN;
  const previousMs = rows.ts[row - 1];
  if (previousMs !== undefined && openMs <= previousMs) {
    throw invalid(origin, `openTime ${openMs}`, `one after the row's before it, ${previousMs}`);
  }
  if (closeMs < openMs) throw invalid(origin, `closeTime ${closeMs}`, `one after ${openMs}`);
  // A bar off the grid may reach into the next slot, none beyond.
  if (closeMs >= source.interval.closeOf(source.interval.closeOf(openMs))) {
    throw invalid(origin, `closeTime ${closeMs}`, `that of a bar of ${source.interval.name}`);
  }
  if (closeMs >= source.nowMs)
    throw invalid(origin, `closeTime ${closeMs}`, "a bar that is closed");
}

function timeOf(cell: string, origin: string, at: number): number {
  if (!integer.test(cell)) throw invalidCell(cell, origin, at, "ms or µs");
  const time = Number(cell);
  return time >= microsecondsMin ? Math.floor(time / 1_000) : time;
}

function valueOf(cell: string, origin: string, at: number): number {
  if (cell === "") return Number.NaN;
  const isInteger = integersAt.has(at);
  if ((isInteger ? integer : decimal).test(cell)) return Number(cell);
  throw invalidCell(cell, origin, at, isInteger ? "an integer >= 0" : "a number");
}

function invalidCell(cell: string, origin: string, at: number, wanted: string): QmtlError {
  return invalid(origin, `${JSON.stringify(cell)} as ${names[at] ?? ""}`, wanted);
}

function invalid(where: string, found: string, wanted: string): QmtlError {
  return new QmtlError(
    "RECORDED_DATA_INVALID",
    `Cannot import ${where}: found ${found}, wanted ${wanted}`,
    { where },
  );
}
