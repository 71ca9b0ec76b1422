import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { errorText, Interval, intervalNames, QmtlError } from "../../../runtime/index.ts";
import { type BarSeries, type Market, partitionPoint, timesOf } from "./market.ts";

/** Bars held in memory at most: a row takes about 250 bytes. */
const rowsMax = 8_000_000;
const microsecondsMin = 1e15;
const cellsMin = 11;
const fileName = /^([\p{Lu}\p{Lo}\p{N}._]{1,20})-([0-9]{1,2}(?:mo|[smhdwM]))-.+\.csv$/u;
const leftOut = /\.(oracle|derived|paging-bug)\./;
const integer = /^\d{1,16}$/;
const decimal = /^-?\d{1,20}(\.\d{1,20})?$/;
const zero = "0.00000000";

/** A recorded bar: its two times, and the text of the elements between and behind them. */
interface RecordedBar {
  readonly openMs: number;
  readonly closeMs: number;
  /** `"open","high","low","close","volume"` */
  readonly prices: string;
  /** `"quoteVolume",trades,"takerBuyBase","takerBuyQuote","0"` */
  readonly tail: string;
  /** `file:line`, for messages. */
  readonly origin: string;
}

/**
 * Bars from CSV files: `SYMBOL-INTERVAL-*.csv`, columns as the exchange's own archive has them
 * (`openTime,open,high,low,close,volume,closeTime,quoteVolume,trades,takerBuyBase,takerBuyQuote`
 * and an unused 12th), with or without a header, times in ms or µs. Files named `*.oracle.*`,
 * `*.derived.*` and `*.paging-bug.*` are only served where `files` names them. Equal overlapping
 * rows merge. Decimals are served as written, filled up to 8 places; an empty cell stays empty.
 *
 * @throws QmtlError RECORDED_DATA_INVALID naming the file and line, or both of two rows of one
 *   open time that differ.
 */
export async function loadRecordedMarket(
  directory: string,
  files: readonly string[] | undefined,
): Promise<Market> {
  const names = files ?? (await listFiles(directory));
  const barsBySeries = new Map<string, RecordedBar[]>();
  const symbols = new Set<string>();
  let rows = 0;
  for (const name of names) {
    const { symbol, interval } = seriesOfName(name);
    const bars = parseFile(await readText(directory, name), name);
    rows += bars.length;
    if (rows > rowsMax) throw invalid(name, `there are more than ${rowsMax} rows`, "fewer");
    const id = `${symbol} ${interval.name}`;
    barsBySeries.set(id, [...(barsBySeries.get(id) ?? []), ...bars]);
    symbols.add(symbol);
  }
  if (rows === 0) throw invalid(directory, "no rows", "SYMBOL-INTERVAL-*.csv files with rows");
  const merged = new Map([...barsBySeries].map(([id, bars]) => [id, mergeBars(bars)]));
  let lastCloseMs = 0;
  for (const bars of merged.values()) {
    for (const bar of bars) lastCloseMs = Math.max(lastCloseMs, bar.closeMs);
  }
  return {
    symbols: [...symbols].toSorted(),
    knows: (symbol) => symbols.has(symbol),
    serverTimeMs: () => lastCloseMs + 1_000,
    series: (symbol, interval, showsOpen) =>
      new RecordedSeries(merged.get(`${symbol} ${interval.name}`) ?? [], interval, showsOpen),
  };
}

class RecordedSeries implements BarSeries {
  readonly begin = 0;
  readonly #bars: readonly RecordedBar[];
  readonly #interval: Interval;
  readonly #showsOpen: boolean;

  constructor(bars: readonly RecordedBar[], interval: Interval, showsOpen: boolean) {
    this.#bars = bars;
    this.#interval = interval;
    this.#showsOpen = showsOpen;
  }

  end(nowMs: number): number {
    const count = partitionPoint(this.#bars.length, (i) => this.openOf(i) > nowMs);
    const last = this.#bars[count - 1];
    return last !== undefined && this.#showsOpen && last.closeMs < nowMs ? count + 1 : count;
  }

  lowerBound(timeMs: number): number {
    const count = this.#bars.length;
    const index = partitionPoint(count, (i) => this.openOf(i) >= timeMs);
    return index === count && this.openOf(count) < timeMs ? count + 1 : index;
  }

  openOf(index: number): number {
    const bar = this.#bars[index];
    if (bar !== undefined) return bar.openMs;
    const last = this.#bars.at(-1);
    return last === undefined ? 0 : this.#interval.closeOf(last.openMs);
  }

  textOf(index: number, nowMs: number, unit: 1 | 1_000): string {
    const bar = this.#bars[index];
    const openMs = this.openOf(index);
    const closeMs = bar?.closeMs ?? this.#interval.closeOf(openMs) - 1;
    const [open, close] = timesOf(openMs, closeMs, unit);
    if (bar !== undefined && closeMs < nowMs) {
      return `[${open},${bar.prices},${close},${bar.tail}]`;
    }
    // A recording does not say how an open bar looked: it stands at its first price, untraded.
    const price =
      bar?.prices.split(",")[0] ?? this.#bars.at(-1)?.prices.split(",")[3] ?? `"${zero}"`;
    const flat = `${price},${price},${price},${price},"${zero}"`;
    return `[${open},${flat},${close},"${zero}",0,"${zero}","${zero}","0"]`;
  }
}

async function listFiles(directory: string): Promise<readonly string[]> {
  let names: string[];
  try {
    names = await readdir(directory);
  } catch (cause) {
    throw invalid(directory, errorText(cause), "a folder of SYMBOL-INTERVAL-*.csv files", cause);
  }
  return names.filter((name) => fileName.test(name) && !leftOut.test(name)).toSorted();
}

async function readText(directory: string, name: string): Promise<string> {
  try {
    return await readFile(join(directory, name), "utf8");
  } catch (cause) {
    throw invalid(name, errorText(cause), "a readable file", cause);
  }
}

function seriesOfName(name: string): { symbol: string; interval: Interval } {
  const [, symbol, spelled] = fileName.exec(name) ?? [];
  // The archive spells a month 1mo.
  const intervalName = intervalNames.find((known) => known === spelled?.replace("1mo", "1M"));
  if (symbol === undefined || intervalName === undefined) {
    throw invalid(name, "the file name", "SYMBOL-INTERVAL-*.csv such as BTCUSDT-1m-2020.csv");
  }
  return { symbol, interval: Interval.of(intervalName) };
}

function parseFile(text: string, name: string): RecordedBar[] {
  const bars: RecordedBar[] = [];
  for (const [i, line] of text.split(/\r?\n/).entries()) {
    if (line === "" || (i === 0 && /^["a-z]/i.test(line))) continue;
    bars.push(parseLine(line, `${name}:${i + 1}`));
  }
  return bars;
}

function parseLine(line: string, origin: string): RecordedBar {
  const cells = line.split(",");
  if (cells.length < cellsMin) {
    throw invalid(origin, `${cells.length} cells`, `at least ${cellsMin}`);
  }
  const timeAt = (at: number): number => {
    const cell = cells[at] ?? "";
    if (!integer.test(cell)) throw invalid(origin, `"${cell}" in cell ${at + 1}`, "ms or µs");
    const time = Number(cell);
    return time >= microsecondsMin ? Math.floor(time / 1_000) : time;
  };
  const decimalAt = (at: number): string => {
    const cell = cells[at] ?? "";
    if (cell === "") return '""';
    if (!decimal.test(cell)) throw invalid(origin, `"${cell}" in cell ${at + 1}`, "a number");
    const [whole = "0", part = ""] = cell.split(".");
    return `"${whole}.${part.padEnd(8, "0")}"`;
  };
  const trades = cells[8] ?? "";
  if (trades !== "" && !integer.test(trades)) {
    throw invalid(origin, `"${trades}" in cell 9`, "a number of trades");
  }
  const openMs = timeAt(0);
  const closeMs = timeAt(6);
  if (closeMs < openMs) throw invalid(origin, `closeTime ${closeMs}`, `one after ${openMs}`);
  return {
    openMs,
    closeMs,
    prices: [1, 2, 3, 4, 5].map(decimalAt).join(","),
    tail: `${decimalAt(7)},${trades === "" ? '""' : trades},${decimalAt(9)},${decimalAt(10)},"0"`,
    origin,
  };
}

function mergeBars(bars: readonly RecordedBar[]): readonly RecordedBar[] {
  const merged: RecordedBar[] = [];
  for (const bar of bars.toSorted((a, b) => a.openMs - b.openMs)) {
    const last = merged.at(-1);
    if (last === undefined || last.openMs !== bar.openMs) {
      merged.push(bar);
    } else if (textOfBar(last) !== textOfBar(bar)) {
      throw invalid(
        bar.origin,
        `openTime ${bar.openMs} with other values than ${last.origin}`,
        "equal rows where files overlap",
      );
    }
  }
  return merged;
}

function textOfBar(bar: RecordedBar): string {
  return `${bar.closeMs} ${bar.prices} ${bar.tail}`;
}

function invalid(where: string, found: string, wanted: string, cause?: unknown): QmtlError {
  return new QmtlError(
    "RECORDED_DATA_INVALID",
    `Cannot read recorded data at ${where}: found ${found}, wanted ${wanted}`,
    { where },
    cause,
  );
}
