import { appendFileSync } from "node:fs";
import { openHistory } from "../../../connectors/sqlite/index.ts";
import {
  type ColumnBatch,
  type Exchange,
  type FetchEstimate,
  fillMissing,
  type KlinePage,
  type KlineRequest,
  kline,
  newColumnBatch,
  type Series,
  type TimeRange,
} from "../../../runtime/index.ts";

/** Klines of `symbol`, one minute each unless said otherwise. */
export function klineSeries(symbol: string, interval: Series["interval"] = "1m"): Series {
  const nodeId = Bun.hash(`${symbol} ${interval}`).toString(16).padStart(32, "0");
  return { nodeId, definitionId: "d".repeat(32), key: symbol, interval, schema: kline };
}

/** Bars that open at `times`; column `c` of a bar is its time / 1000 + c. */
export function barsAt(times: readonly number[]): ColumnBatch {
  const batch = newColumnBatch(times.length, 10);
  for (const [i, ts] of times.entries()) {
    batch.ts[i] = ts;
    for (const [c, column] of batch.columns.entries()) column[i] = ts / 1_000 + c;
  }
  return batch;
}

/** An exchange that has exactly the bars that open at `times`, and answers as the port says. */
export class ArrayExchange implements Exchange {
  readonly name = "array";
  readonly isSimulated = false;
  /** Ranges that were asked for, in order. */
  readonly asked: TimeRange[] = [];
  readonly #times: readonly number[];
  readonly #pageRows: number;
  readonly #serverTimeMs: number;

  constructor(times: readonly number[], options: { pageRows: number; serverTimeMs: number }) {
    this.#times = times;
    this.#pageRows = options.pageRows;
    this.#serverTimeMs = options.serverTimeMs;
  }

  async klines({ range, interval }: KlineRequest, signal: AbortSignal): Promise<KlinePage> {
    signal.throwIfAborted();
    this.asked.push(range);
    await Bun.sleep(0);
    const serverTimeMs = this.#serverTimeMs;
    const closedEnd = interval.floor(serverTimeMs);
    const closed = this.#times.filter(
      (ts) => ts >= range.start && ts < range.end && interval.closeOf(ts) <= serverTimeMs,
    );
    const page = closed.slice(0, this.#pageRows);
    const isFull = page.length === this.#pageRows;
    const end = isFull ? (page.at(-1) ?? 0) + 1 : Math.min(range.end, closedEnd);
    const settled = { start: range.start, end: Math.max(range.start, end) };
    return { rows: barsAt(page), settled, serverTimeMs };
  }

  async serverTime(): Promise<number> {
    return this.#serverTimeMs;
  }

  async checkSymbols(): Promise<void> {
    // Every symbol is known here.
  }

  estimate(bars: number): FetchEstimate {
    return { requests: Math.ceil(bars / this.#pageRows), weight: 0, seconds: 0 };
  }

  async close(): Promise<void> {
    // Nothing is open.
  }
}

/** What the process that is killed in mid-backfill gets on its command line. */
export interface KilledFill {
  readonly url: string;
  readonly symbol: string;
  readonly times: readonly number[];
  readonly pageRows: number;
  readonly range: TimeRange;
  /** File that gets a line per page stored. */
  readonly progressFile: string;
}

if (import.meta.main) {
  const fill = JSON.parse(await Bun.stdin.text()) as KilledFill;
  const signal = AbortSignal.timeout(60_000);
  const store = await openHistory(fill.url, { mode: "write", isSimulated: false }, signal);
  const serverTimeMs = fill.range.end + 60_000;
  const exchange = new ArrayExchange(fill.times, { pageRows: fill.pageRows, serverTimeMs });
  const series = klineSeries(fill.symbol);
  const onProgress = (): void => appendFileSync(fill.progressFile, "stored\n");
  await fillMissing({ store, exchange, series, range: fill.range, onProgress }, signal);
  await store.close();
}
