import { type ColumnBatch, rowAtTime, sliceColumns } from "../contract/columns.ts";
import { type Exchange, type KlinePage } from "../contract/exchange.ts";
import {
  type HistoryPage,
  type HistoryStore,
  type Series,
  type TimeRange,
} from "../contract/history-store.ts";
import { QmtlError } from "../core/errors.ts";
import { Interval } from "../core/interval.ts";
import { mergeRanges, missingIn, subtractRanges } from "./coverage.ts";

/** What is to be completed, from where. */
export interface FillOptions {
  readonly store: HistoryStore;
  readonly exchange: Exchange;
  /** Klines of `series.key`. */
  readonly series: Series;
  /** Open times; best cut to closed bars, for what is not closed yet is reported as missing. */
  readonly range: TimeRange;
  /** Called after each page that is stored. */
  readonly onProgress?: (progress: FillProgress) => void;
}

/** A page that is stored. */
export interface FillProgress {
  readonly series: Series;
  /** Rows stored so far by this fill. */
  readonly rowsFetched: number;
  /** The page settled `[from, to)`. */
  readonly from: number;
  readonly to: number;
}

/** What a fill came to. */
export interface FillResult {
  readonly rowsFetched: number;
  /** Pages that were asked for. */
  readonly requests: number;
  /** Where the exchange has no bars, found by this fill; they are stored as confirmed empty. */
  readonly holes: readonly TimeRange[];
  /** What could not be settled: bars that are not closed yet. */
  readonly missing: readonly TimeRange[];
}

/**
 * How far behind the exchange's clock a page may stop without being taken for a stall, ms: a
 * closed bar can be late in the exchange's own answer, and a careful client leaves it for later.
 */
const settleMsMax = 10_000;

/**
 * Completes the history of one series: each missing range is fetched page by page, and each page
 * is stored with what it settles, as one, before the next is stored. So a run that is killed at any
 * point loses at most the pages in flight: the next run asks for nothing that was stored.
 *
 *   B1  Every instant of a missing range ends as had, confirmed empty or missing; nothing beyond
 *       the last bar that is closed by the exchange's clock is settled, whatever a page says.
 *   B2  Each page settles at least one more instant, or the fill ends: no loop is endless.
 *   B3  A bar off the grid (an exchange outage of 2018) fills the grid slot it opens in; a hole is
 *       made of whole slots that no bar opens in.
 *   B4  One page is asked for ahead while one is stored.
 *
 * @throws QmtlError EXCHANGE_RESPONSE_INVALID if a page settles nothing of what is closed; what the
 *   exchange and the store throw passes through.
 */
export async function fillMissing(options: FillOptions, signal: AbortSignal): Promise<FillResult> {
  const { store, series, range } = options;
  const fill = new Fill(options);
  for (const gap of missingIn(await store.coverage(series, signal), range)) {
    await fill.complete(gap, signal);
  }
  return fill.result();
}

/** One run of `fillMissing` and what it has found so far. */
class Fill {
  readonly #options: FillOptions;
  readonly #interval: Interval;
  readonly #holes: TimeRange[] = [];
  readonly #missing: TimeRange[] = [];
  #rowsFetched = 0;
  #requests = 0;

  constructor(options: FillOptions) {
    this.#options = options;
    this.#interval = Interval.of(options.series.interval);
  }

  result(): FillResult {
    return {
      rowsFetched: this.#rowsFetched,
      requests: this.#requests,
      holes: mergeRanges(this.#holes),
      missing: mergeRanges(this.#missing),
    };
  }

  /** Settles as much of `gap` as is closed. */
  async complete(gap: TimeRange, signal: AbortSignal): Promise<void> {
    const { store, series } = this.#options;
    const ending = new AbortController();
    const both = AbortSignal.any([signal, ending.signal]);
    let cursor = gap.start;
    let asked: Promise<KlinePage> | undefined = this.#ask({ start: cursor, end: gap.end }, both);
    try {
      while (asked !== undefined) {
        const page: KlinePage = await asked;
        asked = undefined;
        const closedEnd = this.#closedEnd(page.serverTimeMs);
        const settled = { start: cursor, end: Math.min(page.settled.end, gap.end, closedEnd) };
        if (!(settled.end > cursor)) {
          this.#stop({ start: cursor, end: gap.end }, page.serverTimeMs);
          return;
        }
        cursor = settled.end;
        if (cursor < gap.end) {
          const rest = { start: cursor, end: gap.end };
          if (cursor >= closedEnd) this.#missing.push(rest);
          else asked = this.#ask(rest, both);
        }
        const settling = settle(page.rows, settled, this.#interval);
        await store.persist(series, settling, signal);
        this.#tell(settling, settled);
      }
    } finally {
      // A store that failed leaves the page ahead unasked for: stop it, and take its rejection.
      if (asked !== undefined) ending.abort();
      await Promise.allSettled([asked]);
    }
  }

  /** Asks for the page at the start of `range`; its failure is seen when the page is awaited. */
  #ask(range: TimeRange, signal: AbortSignal): Promise<KlinePage> {
    const { exchange, series } = this.#options;
    this.#requests += 1;
    const request = { symbol: series.key, interval: this.#interval, range };
    const page = exchange.klines(request, signal);
    // It may fail while the page before it is being stored and nobody awaits it yet.
    page.catch(() => undefined);
    return page;
  }

  #tell(page: HistoryPage, settled: TimeRange): void {
    const { series, onProgress } = this.#options;
    this.#rowsFetched += page.rows.count;
    this.#holes.push(...page.empty);
    onProgress?.({
      series,
      rowsFetched: this.#rowsFetched,
      from: settled.start,
      to: settled.end,
    });
  }

  /** A page settled nothing: right where no closed bar is left, a fault of the exchange elsewhere. */
  #stop(rest: TimeRange, serverTimeMs: number): void {
    const slackMs = Math.max(settleMsMax, this.#interval.lengthMs);
    if (rest.start < this.#closedEnd(serverTimeMs) - slackMs) {
      const { exchange, series } = this.#options;
      throw new QmtlError(
        "EXCHANGE_RESPONSE_INVALID",
        `Cannot go on with the history of ${series.key} ${series.interval}: a page of ${exchange.name} from ${new Date(rest.start).toISOString()} settled nothing, wanted progress`,
        { symbol: series.key, interval: series.interval, start: rest.start },
      );
    }
    this.#missing.push(rest);
  }

  /** Where the closed bars end: each closes 1 ms before the next opens, and by then (DESIGN §5). */
  #closedEnd(serverTimeMs: number): number {
    return this.#interval.floor(serverTimeMs);
  }
}

/** What `rows` say of `settled`: rows inside of it, the slots they leave empty, the rest is had. */
function settle(rows: ColumnBatch, settled: TimeRange, interval: Interval): HistoryPage {
  const inside = sliceColumns(rows, rowAtTime(rows, settled.start), rowAtTime(rows, settled.end));
  const empty = holesOf(inside, settled, interval);
  return { rows: inside, have: subtractRanges([settled], empty), empty };
}

/** Whole slots of `settled` in which no row opens (B3). O(rows). */
function holesOf(rows: ColumnBatch, settled: TimeRange, interval: Interval): readonly TimeRange[] {
  const holes: TimeRange[] = [];
  let freeFrom = interval.ceil(settled.start);
  for (let i = 0; i < rows.count; i += 1) {
    const ts = rows.ts[i] ?? Number.NaN;
    const slot = interval.floor(ts);
    if (freeFrom < slot) holes.push({ start: freeFrom, end: slot });
    freeFrom = Math.max(freeFrom, interval.closeOf(ts));
  }
  if (freeFrom < settled.end) holes.push({ start: freeFrom, end: settled.end });
  return holes;
}
