import { type Interval } from "../core/interval.ts";
import { type ColumnBatch } from "./columns.ts";
import { type TimeRange } from "./history-store.ts";

/** One question for bars: `[start, end)` by open time. */
export interface KlineRequest {
  readonly symbol: string;
  readonly interval: Interval;
  readonly range: TimeRange;
}

/**
 * One answer. `settled` is how far the answer goes: `[range.start, settled.end)` is complete; what
 * has no row in it has no bar. A full page ends right after its last row; a page that is not full
 * ends at `range.end`, but never beyond the last closed bar.
 */
export interface KlinePage {
  /** Closed bars only, schema `kline`, rising open time. */
  readonly rows: ColumnBatch;
  readonly settled: TimeRange;
  /** Server time read before the page was asked for, ms: closed = closeTime < this. */
  readonly serverTimeMs: number;
}

/** What a fetch of history will cost, shown before it starts. */
export interface FetchEstimate {
  readonly requests: number;
  /** Weight the exchange charges for them. */
  readonly weight: number;
  /** Lower bound from the weight limit and the measured time of a request. */
  readonly seconds: number;
}

/**
 * An exchange's market data. Limits are shared by all callers of the process: calls may overlap,
 * the client keeps them within the exchange's budget.
 */
export interface Exchange {
  /** For people and reports: `binance`, `simulated`, `recorded`. */
  readonly name: string;
  /** True if rows come from a generator: they never enter a real store. */
  readonly isSimulated: boolean;

  /** The exchange's clock, ms. @throws QmtlError EXCHANGE_UNREACHABLE (backoff), EXCHANGE_RESTRICTED. */
  serverTime(signal: AbortSignal): Promise<number>;

  /** @throws QmtlError SYMBOL_UNKNOWN naming each symbol the exchange does not know. */
  checkSymbols(symbols: readonly string[], signal: AbortSignal): Promise<void>;

  /**
   * The first page of `request.range`; ask again from `settled.end` for the next.
   *
   * @throws QmtlError EXCHANGE_* as `retryOf` says, after its own bounded retries.
   */
  klines(request: KlineRequest, signal: AbortSignal): Promise<KlinePage>;

  /** Cost of fetching `bars` bars. */
  estimate(bars: number): FetchEstimate;

  /** Aborts what is under way; safe to call twice, never throws. */
  close(): Promise<void>;
}
