import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { errorText, QmtlError } from "../../core/errors.ts";
import { type BacktestReport, type RunProgress } from "../backtest/report.ts";
import { type LiveReport } from "../live/live-report.ts";
import { type RunSettingsInput } from "../settings.ts";
import { liveJson, renderLive } from "./live-report.ts";
import { renderProfile } from "./profile-table.ts";
import { createProgress } from "./progress.ts";
import { reportJson } from "./report-json.ts";
import { renderReport } from "./report-table.ts";

const exitInterrupted = 130;
/** Time after a signal before another one counts, ms. */
const signalMsMin = 1_000;

/** Options the command line gives to a run: settings by name, and what is not one. */
export interface RunOptions extends Omit<RunSettingsInput, "start" | "end"> {
  readonly startTime: string | undefined;
  readonly endTime: string | undefined;
  readonly profile: boolean | undefined;
  readonly onProgress: (progress: RunProgress) => void;
  readonly signal: AbortSignal;
}

/** A program around one strategy. */
export interface Program {
  readonly name: string;
  readonly argv: readonly string[];
  readonly run: (options: RunOptions) => Promise<BacktestReport | LiveReport>;
}

const flags = {
  mode: { type: "string" },
  symbols: { type: "string" },
  "symbols-file": { type: "string" },
  interval: { type: "string" },
  start: { type: "string" },
  end: { type: "string" },
  exchange: { type: "string" },
  history: { type: "string" },
  state: { type: "string" },
  threads: { type: "string" },
  transport: { type: "string" },
  deployment: { type: "string" },
  "offset-reset": { type: "string" },
  records: { type: "string" },
  "metrics-port": { type: "string" },
  refetch: { type: "boolean" },
  profile: { type: "boolean" },
  json: { type: "boolean" },
  "no-progress": { type: "boolean" },
  help: { type: "boolean", short: "h" },
} as const;

const help = (
  name: string,
): string => `${name}: a backtest over stored history, completed from the exchange first, or a live run

  --mode MODE            backtest (default) | live
  --symbols A,B          symbols as the exchange spells them (BTCUSDT,ETHUSDT)
  --symbols-file FILE    one symbol a line, or commas
  --interval 1m          1s 1m 3m 5m 15m 30m 1h 2h 4h 6h 8h 12h 1d 3d 1w 1M, or seconds
  --state URL            checkpoints, from which a killed run goes on: memory: (default, none) |
                         sqlite:PATH | redis://HOST:PORT
  --threads N            worker threads (default one per core)
  --profile              time the nodes, and show where the run's time went
  --json                 the report as JSON on standard output
  --no-progress          no progress on standard error
  --help                 this text

Backtest:
  --start, --end TIME    ISO (UTC), epoch s or ms; [start, end) by open time; default the last days
  --exchange WHICH       auto (default) | binance | simulated[:SEED] | recorded:DIR
  --history URL          sqlite:PATH (default sqlite:.qmtl/history.db) | questdb://HOST:PORT
  --refetch              forget the range's stored bars and fetch them again

Live, until SIGINT or SIGTERM ends it in order:
  --transport URL        where streams are read and outputs are published: kafka://HOST:PORT
  --deployment NAME      name that state is kept under (default the strategy's)
  --offset-reset WHERE   earliest | latest | TIME: where to begin without a checkpoint, and to go on
                         if the position is gone from the topic (default: begin at the oldest record,
                         end with an error if the position is gone)
  --records N            end after N records
  --metrics-port N       /metrics, /healthz and /readyz on 127.0.0.1 (0: a free port)

Environment: QMTL_SYMBOLS, QMTL_HISTORY, … as the flags; QMTL_BINANCE_URL names the exchange's REST
API and never falls back. File: qmtl.yml with the same names. A flag wins over both.
`;

/** Runs the program and returns its exit code: one line on standard error says what went wrong. */
export async function main(program: Program): Promise<number> {
  const stop = new AbortController();
  const endWatch = endBySignal(stop);
  try {
    const values = parse(program.argv);
    if (values.help === true) {
      process.stdout.write(help(program.name));
      return 0;
    }
    const {
      json,
      "no-progress": noProgress,
      "symbols-file": file,
      help: _help,
      ...settings
    } = values;
    const symbols = file === undefined ? settings.symbols : readSymbols(file);
    const progress = createProgress(process.stderr, noProgress !== true);
    try {
      const report = await program.run({
        ...without(settings, ["start", "end", "offset-reset", "metrics-port"]),
        startTime: settings.start,
        endTime: settings.end,
        offsetReset: settings["offset-reset"],
        metricsPort: settings["metrics-port"],
        profile: settings.profile,
        symbols,
        onProgress: progress.show,
        signal: stop.signal,
      });
      progress.close();
      const { columns } = process.stdout;
      process.stdout.write(json === true ? `${jsonOf(report)}\n` : textOf(report, columns));
      return hasNothing(report) ? 1 : 0;
    } finally {
      progress.close();
    }
  } catch (error) {
    process.stderr.write(`${lineOf(error)}\n`);
    return stop.signal.aborted ? exitInterrupted : 1;
  } finally {
    endWatch();
  }
}

/**
 * The first signal ends the run in order, a later one the process. A terminal sends a key press to
 * `npm` and `qmtl run` too, which pass it on: what comes within `signalMsMin` is the same one.
 *
 * @returns what ends the watch.
 */
function endBySignal(stop: AbortController): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const end = (): void => {
    clearTimeout(timer);
    process.off("SIGINT", onSignal);
    process.off("SIGTERM", onSignal);
  };
  const onSignal = (): void => {
    stop.abort(new QmtlError("ABORTED", "Cannot go on: interrupted; what was fetched is stored"));
    // Without a listener a signal does what it does to any process.
    timer ??= setTimeout(end, signalMsMin);
  };
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
  return end;
}

function jsonOf(report: BacktestReport | LiveReport): string {
  return report.mode === "live" ? liveJson(report) : reportJson(report);
}

/** For a terminal of `width` columns; undefined elsewhere. */
function textOf(report: BacktestReport | LiveReport, width: number | undefined): string {
  const text = report.mode === "live" ? renderLive(report) : renderReport(report, width);
  return report.profile === undefined ? text : `${text}${renderProfile(report.profile)}`;
}

/** True if a backtest found none of what it was asked for. */
function hasNothing(report: BacktestReport | LiveReport): boolean {
  if (report.mode === "live" || report.records > 0) return false;
  return report.streams.some(({ missing }) => missing.length > 0);
}

function parse(argv: readonly string[]): ReturnType<typeof parseFlags> {
  try {
    return parseFlags(argv);
  } catch (error) {
    throw new QmtlError(
      "CONFIG_INVALID",
      `Cannot read the command line: ${errorText(error)} (--help lists the flags)`,
    );
  }
}

function parseFlags(argv: readonly string[]): {
  readonly [K in keyof typeof flags]?: (typeof flags)[K]["type"] extends "string"
    ? string
    : boolean;
} {
  return parseArgs({ args: [...argv], options: flags, strict: true }).values;
}

function readSymbols(file: string): readonly string[] {
  try {
    return readFileSync(file, "utf8")
      .split(/[\s,]+/)
      .filter((symbol) => symbol !== "");
  } catch (error) {
    throw new QmtlError(
      "CONFIG_INVALID",
      `Cannot read the symbols file "${file}": ${errorText(error)}, wanted symbols, one a line`,
    );
  }
}

function without<T extends object, K extends keyof T>(value: T, names: readonly K[]): Omit<T, K> {
  const copy = { ...value };
  for (const name of names) delete copy[name];
  return copy;
}

/** One line for the user; a stack only where the fault is ours. */
function lineOf(error: unknown): string {
  if (error instanceof QmtlError) return `qmtl: ${error.message} [${error.code}]`;
  if (error instanceof RangeError || error instanceof TypeError) {
    return `qmtl: internal error: ${error.stack ?? error.message}`;
  }
  return `qmtl: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
}
