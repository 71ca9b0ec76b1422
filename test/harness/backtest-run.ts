import { connectors as realConnectors } from "../../connectors/index.ts";
import { backtest } from "../../runtime/engine/backtest/backtest.ts";
import { type BacktestReport, type RunProgress } from "../../runtime/engine/backtest/report.ts";
import { type RunSettingsInput, resolveSettings } from "../../runtime/engine/settings.ts";
import { type ConnectorIndex, type StrategyClass } from "../../runtime/index.ts";

const dayMs = 86_400_000;

/** A backtest with what a test replaces: connectors, the strategy's module, the flags. */
export interface BacktestRun {
  readonly strategy: StrategyClass;
  readonly settings: RunSettingsInput;
  readonly symbols: readonly string[];
  readonly interval?: string;
  /** URL of the strategy's module: needed for threads of their own. */
  readonly module?: string;
  readonly exportName?: string;
  readonly connectors?: Partial<ConnectorIndex>;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: RunProgress) => void;
  readonly profile?: boolean;
}

/** What it came to, and what it told meanwhile. */
export interface BacktestResult {
  readonly report: BacktestReport;
  readonly progress: readonly RunProgress[];
  readonly notes: readonly string[];
}

/** Runs a backtest in this process, without environment and file. */
export async function runBacktest(run: BacktestRun): Promise<BacktestResult> {
  const progress: RunProgress[] = [];
  const { strategy, module, exportName = strategy.name } = run;
  const report = await backtest(
    {
      strategy,
      ref: module === undefined ? undefined : { module, exportName },
      flags: { symbols: run.symbols, interval: run.interval ?? "1m" },
      settings: resolveSettings(run.settings, {}, "no-such-file.yml"),
      spanMs: dayMs,
      connectors: { ...realConnectors, ...run.connectors },
      onProgress: (step) => {
        progress.push(step);
        run.onProgress?.(step);
      },
      profile: run.profile,
    },
    run.signal ?? AbortSignal.timeout(60_000),
  );
  const notes = progress.flatMap((step) => (step.kind === "note" ? [step.text] : []));
  return { report, progress, notes };
}
