import { type TimeRange } from "../../contract/history-store.ts";
import { type Profile } from "../profile.ts";

/** A stream of a run, for one key. */
export interface StreamReport {
  readonly name: string;
  readonly key: string;
  readonly nodeId: string;
  readonly definitionId: string;
  readonly interval: string;
  /** Rows in the range, how many of them this run fetched, and in how many requests. */
  readonly rows: number;
  readonly fetched: number;
  readonly requests: number;
  /** Holes that the exchange itself has. */
  readonly gaps: readonly TimeRange[];
  /** What could not be fetched. */
  readonly missing: readonly TimeRange[];
}

/** A node of a run, for one key. */
export interface NodeReport {
  readonly name: string;
  readonly key: string;
  readonly nodeId: string;
  readonly definitionId: string;
  readonly interval: string;
  readonly outputs: number;
  /** Newest output: open time and fields. */
  readonly last: { readonly ts: number; readonly values: Readonly<Record<string, number>> } | null;
}

/** What the returns of a node come to for one key, compounded from the start of the range. */
export interface EquityReport {
  readonly name: string;
  readonly key: string;
  readonly nodeId: string;
  readonly definitionId: string;
  /** Bars that have a return, and bars whose return is NaN: those leave the equity as it is. */
  readonly bars: number;
  readonly barsWithoutValue: number;
  /** Bars at which the position changed, coming into the first one included. */
  readonly trades: number;
  /** Growth of the equity, a fraction: 0.1 is ten percent. */
  readonly totalReturn: number;
  /** Deepest fall from a peak, a fraction of the peak. */
  readonly drawdownMax: number;
  /**
   * Mean of the bars' returns over their sample standard deviation, times the root of `barsPerYear`;
   * nothing is taken off for interest. NaN if the returns don't vary.
   */
  readonly sharpe: number;
  /** Bars of the interval in 365 days. */
  readonly barsPerYear: number;
  /** The equity line, evenly thinned out: open time of a bar, equity at its close; 1 at the start. */
  readonly line: readonly (readonly [ts: number, equity: number])[];
}

/** What a backtest came to. */
export interface BacktestReport {
  readonly strategy: string;
  readonly mode: "backtest";
  /** `binance`, `simulated`, `recorded`, or `none` if everything was stored. */
  readonly exchange: string;
  /** True: the bars are made up, and lie in a store of their own. */
  readonly simulated: boolean;
  /** URL of the store in which rows and outputs lie. */
  readonly history: string;
  readonly start: number;
  readonly end: number;
  readonly threads: number;
  readonly streams: readonly StreamReport[];
  readonly nodes: readonly NodeReport[];
  /** What positions were worth; absent if no node gives returns. */
  readonly equity?: readonly EquityReport[];
  /** Outputs refused because a value was infinite or not of its kind, and late or repeated bars. */
  readonly refused: number;
  readonly late: number;
  /** Records replayed, and how long fetching and replaying took. */
  readonly records: number;
  readonly requests: number;
  readonly backfillSeconds: number;
  readonly replaySeconds: number;
  readonly recordsPerSecond: number;
  readonly notes: readonly string[];
  /** Where the replay's time went, node by node; absent if it was not asked for. */
  readonly profile?: Profile;
}

/** What a run tells while it is under way. */
export type RunProgress =
  | { readonly kind: "note"; readonly text: string }
  | {
      readonly kind: "backfill" | "replay";
      /** Stream and key, `BTCUSDT 1m`. */
      readonly label: string;
      /** Bars done of all bars; `total` is a bound where the exchange has holes. */
      readonly done: number;
      readonly total: number;
    };
