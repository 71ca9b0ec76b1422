import {
  type ColumnBatch,
  type Interval,
  kline,
  newColumnBatch,
  QmtlError,
  type TimeRange,
} from "../../runtime/index.ts";

const fieldNames = ["openTime", ...Object.keys(kline)];
/** Elements of a row; the 12th is unused by the exchange. */
const elementsMin = 11;
const closeTimeAt = fieldNames.indexOf("closeTime");
const integersAt: ReadonlySet<number> = new Set([closeTimeAt, fieldNames.indexOf("trades")]);
const closeTimeColumn = closeTimeAt - 1;
/** Times from here on are in µs: 2001 in µs, the year 33,658 in ms. */
const microsecondsMin = 1e15;
const decimal = /^-?\d{1,20}(\.\d{1,20})?$/;

/**
 * Reads the body of a klines answer. An empty decimal is no value, NaN. Time in µs is told by its
 * size, row by row.
 *
 * @throws QmtlError EXCHANGE_RESPONSE_INVALID naming the row and the field, or the row that is not
 *   in `range` or not after the row before.
 */
export function parseKlines(body: unknown, range: TimeRange): ColumnBatch {
  if (!Array.isArray(body)) throw invalid("the body", describe(body), "an array of rows");
  const rows = newColumnBatch(body.length, Object.keys(kline).length);
  let previousMs = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < body.length; i += 1) {
    const row: unknown = body[i];
    if (!Array.isArray(row) || row.length < elementsMin) {
      throw invalid(`row ${i}`, describe(row), `an array of at least ${elementsMin} elements`);
    }
    const openMs = timeOf(row[0], i, 0);
    checkOpenTime(openMs, previousMs, range, i);
    previousMs = openMs;
    rows.ts[i] = openMs;
    for (let c = 0; c < rows.columns.length; c += 1) {
      const column = rows.columns[c];
      if (column !== undefined) column[i] = fieldOf(row[c + 1], i, c + 1);
    }
    const closeMs = rows.columns[closeTimeColumn]?.[i] ?? Number.NaN;
    if (closeMs < openMs) {
      throw invalid(`row ${i}`, `closeTime ${closeMs}`, `one after openTime ${openMs}`);
    }
  }
  return rows;
}

function checkOpenTime(openMs: number, previousMs: number, range: TimeRange, row: number): void {
  if (openMs < range.start || openMs >= range.end) {
    throw invalid(`row ${row}`, `openTime ${openMs}`, `one in [${range.start}, ${range.end})`);
  }
  if (openMs <= previousMs) {
    throw invalid(`row ${row}`, `openTime ${openMs}`, `one after the last row's, ${previousMs}`);
  }
}

/** What a page settles; see `KlinePage`. */
export interface Settlement {
  /** Closed rows, from the start of the page. */
  readonly count: number;
  /** `[range.start, end)` is complete. */
  readonly end: number;
}

/** What is known about a page beside its rows. */
export interface PageFacts {
  readonly interval: Interval;
  readonly range: TimeRange;
  /** True if the page holds as many rows as were asked for: there may be more. */
  readonly isFull: boolean;
  readonly serverTimeMs: number;
  readonly lateMsMax: number;
}

/**
 * How many rows of the page are closed, and how far it settles its range.
 *
 *   K1  Closed = closeTime < server time; the first open row and all after it are left out.
 *   K2  A later row proves that everything before it is there: a full page settles right up to the
 *       close of its last row, a page with an open row up to that row's opening. Never is the end
 *       computed from a count of rows: an outage has no rows.
 *   K3  Where no later row proves it, absence counts only for bars that closed `lateMsMax` ago: in
 *       the first seconds after a close the exchange may still lack the bar.
 */
export function settle(rows: ColumnBatch, facts: PageFacts): Settlement {
  const { interval, range, serverTimeMs } = facts;
  const closeTimes = rows.columns[closeTimeColumn];
  let count = 0;
  while (count < rows.count && (closeTimes?.[count] ?? Number.NaN) < serverTimeMs) count += 1;
  if (count < rows.count) return { count, end: Math.min(range.end, rows.ts[count] ?? range.end) };
  const lastMs = rows.ts[count - 1];
  const afterLastMs = lastMs === undefined ? range.start : endOfBar(lastMs, interval);
  const provenMs = facts.isFull ? afterLastMs : interval.floor(serverTimeMs - facts.lateMsMax);
  const end = Math.min(range.end, Math.max(provenMs, afterLastMs, range.start));
  return { count, end };
}

/** Where the next bar may open: the grid's next boundary, or right behind a bar off the grid. */
function endOfBar(openMs: number, interval: Interval): number {
  return interval.floor(openMs) === openMs ? interval.closeOf(openMs) : openMs + 1;
}

/** ms of a time in ms or µs. */
export function millisecondsOf(time: number): number {
  return time >= microsecondsMin ? Math.floor(time / 1_000) : time;
}

function timeOf(value: unknown, row: number, at: number): number {
  return millisecondsOf(integerOf(value, row, at));
}

function integerOf(value: unknown, row: number, at: number): number {
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value;
  throw invalid(`${fieldNames[at]} of row ${row}`, describe(value), "an integer >= 0");
}

function fieldOf(value: unknown, row: number, at: number): number {
  if (at === closeTimeAt) return timeOf(value, row, at);
  if (value === "") return Number.NaN;
  if (integersAt.has(at)) return integerOf(value, row, at);
  if (typeof value === "string" && decimal.test(value)) return Number(value);
  throw invalid(`${fieldNames[at]} of row ${row}`, describe(value), "a decimal number in quotes");
}

function describe(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}

function invalid(subject: string, found: string, wanted: string): QmtlError {
  return new QmtlError(
    "EXCHANGE_RESPONSE_INVALID",
    `Cannot read ${subject} of a klines answer: found ${found}, wanted ${wanted}`,
  );
}
