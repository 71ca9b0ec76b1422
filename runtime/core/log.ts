import { destination, type Logger, levels, pino } from "pino";
import { QmtlError } from "./errors.ts";

/** What a line carries beside its message: names and plain values; an error as its text. */
export type LogFields = Readonly<Record<string, unknown>>;

/**
 * Lines for operators and programs: one JSON object a line with `level`, `time` (ISO, UTC), `msg`,
 * the context of the log and the line's own fields. Secrets never leave by it: see `redacted`.
 */
export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** A log whose lines all carry `context`. */
  child(context: LogFields): Log;
}

/** Where lines go and from which level on. */
export interface LogOptions {
  /** `debug`, `info`, `warn`, `error`, `silent`, …: `QMTL_LOG`. Default `info`, in tests `warn`. */
  readonly level?: string | undefined;
  /** Default: standard error, written before the call returns, so that a crash loses nothing. */
  readonly write?: ((line: string) => void) | undefined;
}

/** @throws QmtlError CONFIG_INVALID for a level that is none. */
export function newLog(options: LogOptions = {}): Log {
  const level = options.level ?? process.env["QMTL_LOG"] ?? defaultLevel();
  if (level !== "silent" && !(level in levels.values)) {
    const wanted = [...Object.keys(levels.values), "silent"].join(", ");
    throw new QmtlError(
      "CONFIG_INVALID",
      `Cannot log: QMTL_LOG is "${level}", wanted one of ${wanted}`,
    );
  }
  const { write } = options;
  const settings = {
    level,
    base: null,
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  const stream = write === undefined ? destination({ dest: 2, sync: true }) : { write };
  return wrap(pino(settings, stream));
}

/** Quiet tests: what they check is not read from standard error. */
function defaultLevel(): string {
  return process.env["NODE_ENV"] === "test" ? "warn" : "info";
}

function wrap(logger: Logger): Log {
  const line =
    (level: "debug" | "info" | "warn" | "error") =>
    (message: string, fields: LogFields = {}): void => {
      if (!logger.isLevelEnabled(level)) return;
      logger[level](redactedFields(fields), redactedText(message));
    };
  return {
    debug: line("debug"),
    info: line("info"),
    warn: line("warn"),
    error: line("error"),
    child: (context) => wrap(logger.child(redactedFields(context))),
  };
}

const hidden = "[redacted]";
const secretName =
  /pass(word|wd|phrase)?$|secret|token|authorization|cookie|api_?key|private_?key|credential/i;
/** `scheme://user:password@host`: all before the last `@` of the authority. */
const urlCredentials = /([a-z][a-z0-9+.-]*:\/\/)[^\s/?#"']*@/gi;
/** `password=…` in a query or a command line. */
const secretPair = /\b((?:\w*pass(?:word|wd|phrase)?|\w*secret|\w*token|api_?key)=)[^\s&"',;]+/gi;
/** Fields inside fields, at most: what lies deeper is not shown. */
const depthMax = 5;

/** `text` without the credentials of URLs and without values of `password=…`, `token=…`. */
export function redactedText(text: string): string {
  return text.replaceAll(urlCredentials, `$1${hidden}@`).replaceAll(secretPair, `$1${hidden}`);
}

function redactedFields(fields: LogFields): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [name, redacted(name, value, 0)]),
  );
}

/** What may be shown of a field: nothing of one whose name says that it is a secret. */
function redacted(name: string, value: unknown, depth: number): unknown {
  if (secretName.test(name) && value !== undefined && value !== null) return hidden;
  if (typeof value === "string") return redactedText(value);
  if (typeof value === "bigint") return String(value);
  if (typeof value !== "object" || value === null) return value;
  if (value instanceof Error) return redactedText(value.message);
  if (value instanceof URL) return redactedText(value.href);
  if (depth === depthMax) return "[deeper]";
  if (Array.isArray(value)) return value.map((item) => redacted("", item, depth + 1));
  return Object.fromEntries(
    Object.entries(value).map(([own, item]) => [own, redacted(own, item, depth + 1)]),
  );
}
