import { type Interval } from "../../../runtime/index.ts";

/** Factor of the times in an answer: 1 for ms, 1,000 for µs. */
export type TimeUnit = 1 | 1_000;

/** Bars of one symbol and interval, numbered in rising order of their open times. */
export interface BarSeries {
  /** Number of the first bar. */
  readonly begin: number;
  /** Number after the last bar that has opened by `nowMs`. */
  end(nowMs: number): number;
  /** Number of the first bar that opens at `timeMs` or later. */
  lowerBound(timeMs: number): number;
  /** Open time of bar `index`, ms. */
  openOf(index: number): number;
  /** The bar as the exchange prints it: a JSON array of 12. Still open at `nowMs` → partial. */
  textOf(index: number, nowMs: number, unit: TimeUnit): string;
}

/** What the simulated exchange trades. */
export interface Market {
  /** For the exchange's own list. */
  readonly symbols: readonly string[];
  /** True also for symbols that are not listed but would be served. */
  knows(symbol: string): boolean;
  /** The exchange's clock if the machine's clock says `wallMs`, ms. */
  serverTimeMs(wallMs: number): number;
  /** Bars of a known symbol; `showsOpen` adds a bar that is still open where the data have none. */
  series(symbol: string, interval: Interval, showsOpen: boolean): BarSeries;
}

/** One question for bars; both bounds are inclusive and compared with open times. */
export interface BarQuery {
  readonly interval: Interval;
  readonly startMs: number;
  readonly endMs: number;
  readonly limit: number;
  /** True takes the newest bars of the range instead of the oldest. */
  readonly isFromEnd: boolean;
  readonly nowMs: number;
  readonly unit: TimeUnit;
  /** Every n-th bar of the grid does not exist; 0 for none. */
  readonly gapsEvery: number;
}

/** The page that answers `query`, in rising order. O(log n + limit). */
export function pageText(series: BarSeries, query: BarQuery): string {
  const { interval, nowMs, unit, gapsEvery } = query;
  const begin = Math.max(series.begin, series.lowerBound(query.startMs));
  const end = Math.min(series.end(nowMs), series.lowerBound(query.endMs + 1));
  const isThere = (index: number): boolean =>
    gapsEvery === 0 || interval.indexOf(series.openOf(index)) % gapsEvery !== 0;
  const texts: string[] = [];
  if (!query.isFromEnd) {
    for (let i = begin; i < end && texts.length < query.limit; i += 1) {
      if (isThere(i)) texts.push(series.textOf(i, nowMs, unit));
    }
    return `[${texts.join(",")}]`;
  }
  const newest: number[] = [];
  for (let i = end - 1; i >= begin && newest.length < query.limit; i -= 1) {
    if (isThere(i)) newest.push(i);
  }
  for (const i of newest.toReversed()) texts.push(series.textOf(i, nowMs, unit));
  return `[${texts.join(",")}]`;
}

/** The two times of a bar in `unit`: a close is the last ms, or µs, before the next opening. */
export function timesOf(
  openMs: number,
  closeMs: number,
  unit: TimeUnit,
): readonly [number, number] {
  return [openMs * unit, closeMs * unit + (unit - 1)];
}

/** First number in `[0, count)` for which `isPast` holds, or `count`; `isPast` never turns back. */
export function partitionPoint(count: number, isPast: (index: number) => boolean): number {
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (isPast(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}
