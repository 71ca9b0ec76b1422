import { loadConnectors } from "../contract/connector.ts";
import { type WatchLimits } from "../coordinator/deaths.ts";
import { type Crash } from "../coordinator/live-threads.ts";
import { QmtlError } from "../core/errors.ts";
import { Interval } from "../core/interval.ts";
import { type StrategyClass, type StrategyFlags } from "../graph/strategy.ts";
import { type LatencyProbe, type LivePace, type OffsetReset } from "../worker/live/live-order.ts";
import { type BacktestReport, type RunProgress } from "./backtest/report.ts";
import { type LiveReport } from "./live/live-report.ts";
import { type RunSettings, type RunSettingsInput } from "./settings.ts";
import { type RunOptions } from "./terminal/main.ts";

const dayMs = 86_400_000;

/** What a strategy runs with if neither flags nor settings say otherwise. */
export interface StrategyDefaults {
  readonly symbols?: readonly string[];
  readonly interval?: string | number;
  /** Length of a backtest without `--start`, in days (default 3). */
  readonly days?: number;
}

/** Settings that a backtest has, by other names or not at all. */
type NotOfBacktest =
  | "start"
  | "end"
  | "mode"
  | "transport"
  | "deployment"
  | "offsetReset"
  | "records"
  | "metricsPort";

/** A backtest from code: settings by name, or none of them. */
export interface BacktestOptions extends Omit<RunSettingsInput, NotOfBacktest> {
  /** First open time: ISO text, epoch s or ms, or a Date. */
  readonly startTime?: string | number | Date;
  /** End of open times, exclusive; beyond the exchange's clock it is cut to the last closed bar. */
  readonly endTime?: string | number | Date;
  readonly defaults?: StrategyDefaults;
  /** `import.meta.url` of the strategy's module: needed for more than one thread. */
  readonly module?: string;
  readonly onProgress?: (progress: RunProgress) => void;
  /** True: nodes are timed, and the report has a `profile`. */
  readonly profile?: boolean;
  readonly signal?: AbortSignal;
}

/** A live run from code. */
export interface LiveOptions {
  readonly symbols?: readonly string[];
  readonly interval?: string | number;
  /** `kafka://HOST:PORT`, or `memory:NAME` within one thread. */
  readonly transport: string;
  /**
   * Checkpoints, `redis://…` or `sqlite:PATH`. Without, or with `memory:`, they end with the process:
   * a thread that dies goes on, another run begins at `offsetReset`.
   */
  readonly state?: string;
  /** Name under which state is kept; default the strategy's. */
  readonly deployment?: string;
  readonly threads?: number;
  /** Ends the run once so many records are taken, each counted once; an answer is taken as a whole. */
  readonly until?: { readonly records: number };
  readonly latency?: LatencyProbe;
  /**
   * Where to begin, and to go on if the position is gone from the topic. Default: begin at the
   * oldest record, and end with OFFSET_OUT_OF_RANGE if the position is gone.
   */
  readonly offsetReset?: OffsetReset;
  readonly pace?: Partial<LivePace>;
  readonly watch?: Partial<WatchLimits>;
  /** `import.meta.url` of the strategy's module: needed for threads. */
  readonly module?: string;
  readonly onCrash?: (crash: Crash & { readonly name: string }) => void;
  /** Port of `/metrics`, `/healthz` and `/readyz` on 127.0.0.1, 0 for a free one; default: none. */
  readonly metricsPort?: number;
  /** Told where they are served. */
  readonly onListen?: (url: string) => void;
  /** True: nodes are timed; a table on standard error at the end, and `profile` in the report. */
  readonly profile?: boolean;
  readonly signal?: AbortSignal;
}

/**
 * Runs strategies. Nothing is shared between two runs.
 *
 * Each way of running is loaded when it is used: a strategy's module is imported by every worker
 * thread, and most of them need none of it.
 */
export const Runner = {
  /**
   * Backtests over stored history, which is completed first.
   *
   * @throws QmtlError as `retryOf` says; nothing is left half-written.
   */
  async backtest(strategy: StrategyClass, options: BacktestOptions = {}): Promise<BacktestReport> {
    const { startTime, endTime, defaults, module, onProgress, signal, profile, ...given } = options;
    const input = { ...given, start: startTime, end: endTime };
    const { resolveSettings } = await import("./settings.ts");
    const settings = resolveSettings(input, process.env);
    const around = { defaults, module, onProgress, signal, profile };
    return await backtestBySettings(strategy, settings, around);
  },

  /**
   * Runs live over a transport, partition by partition on threads of their own, until the signal
   * aborts or `until` is reached.
   *
   * @throws QmtlError as `retryOf` says.
   */
  async live(strategy: StrategyClass, options: LiveOptions): Promise<LiveReport> {
    const { module, until, signal, interval, deployment, onCrash } = options;
    const { runLive } = await import("./live/live.ts");
    const report = await runLive(
      {
        strategy,
        ref: module === undefined ? undefined : { module, exportName: strategy.name },
        flags: { symbols: options.symbols ?? [], interval: String(interval ?? "1m") },
        transport: options.transport,
        state: options.state,
        deployment: deployment ?? strategy.name,
        threads: options.threads,
        recordsMax: until?.records,
        latency: options.latency,
        offsetReset: options.offsetReset ?? "fail",
        pace: options.pace ?? {},
        watch: options.watch ?? {},
        connectors: await loadConnectors(),
        onCrash: onCrash ?? (() => undefined),
        metricsPort: options.metricsPort,
        onListen: options.onListen,
        profile: options.profile,
      },
      signal ?? new AbortController().signal,
    );
    if (report.profile !== undefined) {
      const { renderProfile } = await import("./terminal/profile-table.ts");
      process.stderr.write(renderProfile(report.profile));
    }
    return report;
  },

  /**
   * A strategy file's last line: runs the class from the command line if the file is the program,
   * does nothing if it was imported (by a worker, by a test).
   */
  async main(
    meta: { readonly main: boolean; readonly url: string },
    strategy: StrategyClass,
    defaults: StrategyDefaults = {},
  ): Promise<void> {
    if (!meta.main) return;
    const { main } = await import("./terminal/main.ts");
    process.exitCode = await main({
      name: strategy.name,
      argv: process.argv.slice(2),
      run: async (options) =>
        await runProgram(strategy, { ...options, module: meta.url }, defaults),
    });
  },
};

/** What a backtest is given beside its settings. */
type Around = {
  readonly [K in "defaults" | "module" | "onProgress" | "signal" | "profile"]:
    | BacktestOptions[K]
    | undefined;
};

async function backtestBySettings(
  strategy: StrategyClass,
  settings: RunSettings,
  { defaults = {}, module, onProgress, signal, profile }: Around,
): Promise<BacktestReport> {
  const { backtest } = await import("./backtest/backtest.ts");
  return await backtest(
    {
      strategy,
      ref: module === undefined ? undefined : { module, exportName: strategy.name },
      flags: flagsOf(settings, defaults),
      settings,
      spanMs: (defaults.days ?? 3) * dayMs,
      connectors: await loadConnectors(),
      onProgress: onProgress ?? (() => undefined),
      profile,
    },
    signal ?? new AbortController().signal,
  );
}

/** Runs a strategy from the command line, in the mode that flags, environment or file name. */
async function runProgram(
  strategy: StrategyClass,
  options: RunOptions & { readonly module: string },
  defaults: StrategyDefaults,
): Promise<BacktestReport | LiveReport> {
  const { startTime, endTime, onProgress, signal, profile, module, ...rest } = options;
  const given = { ...rest, start: startTime, end: endTime };
  const { checkMode, resolveSettings } = await import("./settings.ts");
  const settings = resolveSettings(given, process.env);
  checkMode(settings.mode, given);
  if (settings.mode === "backtest") {
    const around = { defaults, module, onProgress, signal, profile };
    return await backtestBySettings(strategy, settings, around);
  }
  const { liveBySettings } = await import("./live/live-settings.ts");
  const { runLive } = await import("./live/live.ts");
  const { symbols, interval } = defaults;
  const connectors = await loadConnectors();
  const program = { strategy, module, symbols, interval, isProfiled: profile === true, connectors };
  return await runLive(liveBySettings(program, settings), signal);
}

function flagsOf(settings: RunSettings, defaults: StrategyDefaults): StrategyFlags {
  const symbols = settings.symbols ?? defaults.symbols;
  const interval = settings.interval ?? defaults.interval;
  if (symbols === undefined || interval === undefined) {
    throw new QmtlError(
      "CONFIG_INVALID",
      `Cannot use the settings: ${symbols === undefined ? "symbols" : "interval"} is not given, wanted --${symbols === undefined ? "symbols A,B" : "interval 1m"}`,
    );
  }
  return { symbols, interval: Interval.of(interval).name };
}
