import { existsSync, readFileSync } from "node:fs";
import { parse as parseYaml } from "yaml";
import { z } from "zod";
import { type ExchangeChoice } from "../contract/connector.ts";
import { checkSettings } from "../core/check-settings.ts";
import { errorText, QmtlError } from "../core/errors.ts";
import { Interval } from "../core/interval.ts";

/** Threads of a run, at most. */
const threadsMax = 256;
/** Longest limit of an outage: a week; to wait longer, set none. */
const outageMsLimit = 604_800_000;
/** Symbols of a run, at most. */
const symbolsMax = 10_000;
const secondsBelow = 100_000_000_000;

const list = z
  .union([z.string(), z.array(z.string())])
  .transform((value) => (typeof value === "string" ? value.split(",") : value))
  .transform((names) => names.map((name) => name.trim()).filter((name) => name !== ""))
  .pipe(z.array(z.string()).min(1, "found none, wanted symbols, A,B").max(symbolsMax));

const time = z.union([z.string(), z.number(), z.date()]).transform((value, context) => {
  const ms = timeOf(value);
  if (Number.isFinite(ms)) return ms;
  context.addIssue(`found ${JSON.stringify(value)}, wanted an ISO time or epoch s or ms`);
  return z.NEVER;
});

const exchange = z.string().transform((value, context): ExchangeChoice | "auto" => {
  const [kind = "", ...rest] = value.split(":");
  const argument = rest.join(":");
  if (kind === "auto" && argument === "") return "auto";
  if (kind === "binance" && argument === "") return { kind };
  if (kind === "simulated" && /^\d{0,15}$/.test(argument)) return { kind, seed: Number(argument) };
  if (kind === "recorded" && argument !== "") return { kind, dir: argument };
  context.addIssue(
    `found "${value}", wanted auto, binance, simulated, simulated:SEED or recorded:DIR`,
  );
  return z.NEVER;
});

const interval = z.union([z.string(), z.number()]).transform((value, context) => {
  try {
    const seconds = typeof value === "string" && /^\d+$/.test(value) ? Number(value) : value;
    return Interval.of(seconds).name;
  } catch (error) {
    context.addIssue(errorText(error));
    return z.NEVER;
  }
});

const runMode = z.string().transform((value, context): "backtest" | "live" => {
  if (value === "backtest" || value === "live") return value;
  const found = value === "dryrun" ? '"dryrun", which is not built yet' : JSON.stringify(value);
  context.addIssue(`found ${found}, wanted backtest or live`);
  return z.NEVER;
});

const offsetReset = z.union([z.string(), z.number(), z.date()]).transform((value, context) => {
  if (value === "fail" || value === "earliest" || value === "latest") return value;
  const ms = timeOf(value);
  if (ms >= 0) return ms;
  context.addIssue(`found ${JSON.stringify(value)}, wanted earliest, latest or a time`);
  return z.NEVER;
});

const flag = z.union([z.boolean(), z.stringbool()]);

/** Where rows lie if neither settings nor streams say: a file in the working directory. */
export const historyDefault = "sqlite:.qmtl/history.db";
/** The same for recorded bars: what a recording lacks must not count as what the exchange lacks. */
export const historyRecordedDefault = "sqlite:.qmtl/history.db.recorded";

/** Settings of a run. Each may come from a flag, the environment or `qmtl.yml`, in this order. */
export const runSettings = z.strictObject({
  mode: runMode.default("backtest").describe("backtest | live"),
  symbols: list.optional().describe("Symbols, A,B"),
  interval: interval.optional().describe("Bar length, 1m"),
  start: time.optional().describe("First open time: ISO, epoch s or ms"),
  end: time.optional().describe("End of open times, exclusive: ISO, epoch s or ms"),
  exchange: exchange.default("auto").describe("auto | binance | simulated[:SEED] | recorded:DIR"),
  history: z.string().optional().describe("History store: sqlite:PATH or questdb://HOST:PORT"),
  state: z.string().default("memory:").describe("Checkpoints: memory:, sqlite:PATH or redis://…"),
  threads: z.coerce
    .number()
    .int()
    .min(1)
    .max(threadsMax)
    .optional()
    .describe("Worker threads; default one per core, fewer for a short replay"),
  outageMsMax: z.coerce
    .number()
    .int()
    .min(0)
    .max(outageMsLimit)
    .optional()
    .describe("How long a store that is down is waited for, ms; default: until it is up"),
  refetch: flag.default(false).describe("Forget stored bars of the range and fetch them again"),
  transport: z.string().optional().describe("Where a live run reads and writes: kafka://HOST:PORT"),
  deployment: z.string().optional().describe("Name a live run's state is kept under"),
  offsetReset: offsetReset
    .default("fail")
    .describe("Where a live run begins, and goes on if its position is gone"),
  records: z.coerce.number().int().min(1).optional().describe("Records that end a live run"),
  metricsPort: z.coerce
    .number()
    .int()
    .min(0)
    .max(65_535)
    .optional()
    .describe("Port of a live run's /metrics and /healthz on 127.0.0.1, 0 for a free one"),
  binanceUrl: z
    .url("wanted a URL, http://HOST:PORT")
    .optional()
    .describe("Base URL of the exchange's REST API; never falls back"),
});

/** Resolved settings. */
export type RunSettings = z.output<typeof runSettings>;

/** Settings as they come in: text from flags and environment, data from code and file. */
export type RunSettingsInput = { readonly [K in keyof RunSettings]?: unknown };

const environmentNames: Readonly<Record<string, keyof RunSettings | undefined>> = {
  QMTL_SYMBOLS: "symbols",
  QMTL_INTERVAL: "interval",
  QMTL_START: "start",
  QMTL_END: "end",
  QMTL_EXCHANGE: "exchange",
  QMTL_HISTORY: "history",
  QMTL_STATE: "state",
  QMTL_THREADS: "threads",
  QMTL_MODE: "mode",
  QMTL_TRANSPORT: "transport",
  QMTL_DEPLOYMENT: "deployment",
  QMTL_OFFSET_RESET: "offsetReset",
  QMTL_METRICS_PORT: "metricsPort",
  QMTL_BINANCE_URL: "binanceUrl",
  QMTL_OUTAGE_MS_MAX: "outageMsMax",
  // Read elsewhere: recorded data and long runs of the tests, downloaded servers, log level.
  QMTL_RECORDED_DATA: undefined,
  QMTL_SOAK: undefined,
  QMTL_SEED: undefined,
  QMTL_KILL_ROUNDS: undefined,
  QMTL_CACHE: undefined,
  QMTL_LOG: undefined,
};

/**
 * Resolves settings: `given` (flags, code) over the environment over `qmtl.yml` over defaults.
 *
 * @throws QmtlError CONFIG_INVALID naming every unknown key and bad value, before anything is
 *   written.
 */
export function resolveSettings(
  given: RunSettingsInput,
  environment: Readonly<Record<string, string | undefined>>,
  file = "qmtl.yml",
): RunSettings {
  const faults: string[] = [];
  const fromFile = readFile(file, faults);
  const fromEnvironment = readEnvironment(environment, faults);
  const set = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  const checked = checkSettings(runSettings, { ...fromFile, ...fromEnvironment, ...set });
  faults.push(...checked.faults);
  if (checked.settings !== undefined && faults.length === 0) return checked.settings;
  throw new QmtlError("CONFIG_INVALID", `Cannot use the settings: ${faults.join("; ")}`);
}

/** Settings that mean something to one mode alone. */
const ofMode = {
  backtest: ["start", "end", "exchange", "history", "refetch"],
  live: ["transport", "deployment", "offsetReset", "records", "metricsPort"],
} as const satisfies Record<RunSettings["mode"], readonly (keyof RunSettings)[]>;

/**
 * Refuses what was given for another mode than the one that runs: who asks for a range does not
 * expect it to be passed over.
 *
 * @throws QmtlError CONFIG_INVALID naming each by its flag.
 */
export function checkMode(mode: RunSettings["mode"], given: RunSettingsInput): void {
  const other = mode === "live" ? "backtest" : "live";
  const found = ofMode[other].filter((name) => given[name] !== undefined).map(flagOf);
  if (found.length === 0) return;
  throw new QmtlError(
    "CONFIG_INVALID",
    `Cannot use the settings: found ${found.join(", ")} with --mode ${mode}, wanted --mode ${other} or none of them`,
  );
}

/** `offsetReset` → `--offset-reset`. */
function flagOf(name: string): string {
  return `--${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

function readEnvironment(
  environment: Readonly<Record<string, string | undefined>>,
  faults: string[],
): Readonly<Record<string, unknown>> {
  const found: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(environment)) {
    if (!name.startsWith("QMTL_") || value === undefined) continue;
    if (!(name in environmentNames)) faults.push(`${name}: unknown environment variable`);
    const key = environmentNames[name];
    if (key !== undefined) found[key] = value;
  }
  return found;
}

function readFile(file: string, faults: string[]): Readonly<Record<string, unknown>> {
  if (!existsSync(file)) return {};
  try {
    const content: unknown = parseYaml(readFileSync(file, "utf8"));
    if (content === null || content === undefined) return {};
    if (typeof content === "object" && !Array.isArray(content)) return { ...content };
    faults.push(`${file}: found no mapping, wanted "key: value" lines`);
  } catch (error) {
    faults.push(`${file}: ${errorText(error).split("\n")[0] ?? ""}`);
  }
  return {};
}

/** ms since epoch of an ISO time, epoch seconds or epoch ms; NaN if it is none of them. */
function timeOf(value: string | number | Date): number {
  if (value instanceof Date) return value.getTime();
  const text = String(value).trim();
  if (/^-?\d+(\.\d+)?$/.test(text)) {
    const number = Number(text);
    return Math.abs(number) < secondsBelow ? Math.round(number * 1_000) : Math.round(number);
  }
  if (!/^\d{4}-\d\d-\d\d/.test(text)) return Number.NaN;
  // A time without a zone is UTC, like every time of the exchange.
  const hasZone = /(Z|[+-]\d\d:?\d\d)$/.test(text) || /^\d{4}-\d\d-\d\d$/.test(text);
  return Date.parse(hasZone ? text : `${text.replace(" ", "T")}Z`);
}
