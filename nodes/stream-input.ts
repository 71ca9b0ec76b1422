import {
  checkSchema,
  Interval,
  type OnLate,
  periodBars,
  QmtlError,
  type Schema,
  type SourceIdentity,
  type StreamDeclaration,
} from "../runtime/index.ts";
import { checkName, checkTags } from "./checks.ts";
import { type Upstream } from "./typing.ts";

/** Where missing bars of a stream come from, in place of what flags and config say. */
export interface HistoryProvider {
  /** URL of the history store, `sqlite:PATH` or `questdb://HOST:PORT`. */
  readonly url: string;
}

/** Where a stream's rows lie, in place of what flags and config say. */
export interface EventRecorder {
  /** URL of the history store, `sqlite:PATH` or `questdb://HOST:PORT`. */
  readonly url: string;
}

/** How a stream is declared. */
export interface StreamInputOptions<S extends Schema> {
  /** One symbol, `BTCUSDT`; or `symbols`, one of the two. */
  readonly symbol?: string;
  /** Several symbols, or `"*"`: every key that is met, up to `maxKeys` in each partition. */
  readonly symbols?: readonly string[] | "*";
  /** Bar length: a name (`1m`), seconds (`60`) or both (`"60s"`). */
  readonly interval: string | number;
  /** Bars kept: an integer >= 1, or a length of time (`"7d"`). */
  readonly period: number | string;
  /** Fields of a record, in wire order; `kline` for bars. */
  readonly schema: S;
  readonly tags?: readonly string[];
  readonly name?: string;
  /** An existing topic to read, in place of the exchange's bars. */
  readonly topic?: string;
  /** Exchange and market the bars come from; default binance, spot. */
  readonly exchange?: string;
  readonly market?: string;
  /** Keys of a `"*"` stream in a partition, at most (default 10,000); others are dead letters. */
  readonly maxKeys?: number;
  /** What happens to a record at or before the last one of its key (default `drop`, counted). */
  readonly onLate?: OnLate;
  readonly historyProvider?: HistoryProvider;
  readonly eventRecorder?: EventRecorder;
}

/** Keys of a `"*"` stream in a partition, at most, by default. */
const maxKeysDefault = 10_000;
const maxKeysLimit = 1_000_000;

/** A stream of market data that the graph starts from: one definition, one or many symbols. */
export class StreamInput<const S extends Schema> implements Upstream<S> {
  readonly schema: S;
  readonly declaration: StreamDeclaration;
  readonly #historyProvider: HistoryProvider | undefined;
  readonly #eventRecorder: EventRecorder | undefined;

  /**
   * @throws QmtlError INTERVAL_INVALID, PERIOD_INVALID, SCHEMA_INVALID, SYMBOL_INVALID or
   *   ARGUMENT_INVALID, naming what was found and what is wanted.
   */
  constructor(options: StreamInputOptions<S>) {
    const label = `stream "${options.name ?? options.symbol ?? "unnamed"}"`;
    checkSchema(options.schema, label);
    checkName(options.name, label);
    const interval = Interval.of(options.interval);
    this.schema = options.schema;
    this.declaration = Object.freeze({
      kind: "stream",
      name: options.name,
      tags: checkTags(options.tags, label),
      schema: options.schema,
      publish: false,
      source: sourceOf(options),
      symbols: symbolsOf(options, label),
      interval: interval.name,
      period: periodBars(options.period, interval),
      onLate: options.onLate ?? "drop",
      store: storeOf(options, label),
      maxKeys: maxKeysOf(options, label),
    } satisfies StreamDeclaration);
    this.#historyProvider = options.historyProvider;
    this.#eventRecorder = options.eventRecorder;
  }

  /** Fixed after construction. */
  get historyProvider(): HistoryProvider | undefined {
    return this.#historyProvider;
  }

  /** Fixed after construction. */
  get eventRecorder(): EventRecorder | undefined {
    return this.#eventRecorder;
  }
}

/** Bars are completed where they are recorded: provider and recorder name one store. */
function storeOf(options: StreamInputOptions<Schema>, label: string): string | undefined {
  const provider = options.historyProvider?.url;
  const recorder = options.eventRecorder?.url;
  if (provider === undefined || recorder === undefined || provider === recorder) {
    return recorder ?? provider;
  }
  throw new QmtlError(
    "ARGUMENT_INVALID",
    `Cannot make ${label}: historyProvider names "${provider}", eventRecorder "${recorder}", wanted one store`,
  );
}

function sourceOf(options: StreamInputOptions<Schema>): SourceIdentity {
  if (options.topic !== undefined) return { topic: options.topic };
  return {
    exchange: options.exchange ?? "binance",
    market: options.market ?? "spot",
    data: "kline",
  };
}

function symbolsOf(options: StreamInputOptions<Schema>, label: string): readonly string[] | "*" {
  const { symbol, symbols } = options;
  if (symbols === "*" && symbol === undefined) return "*";
  const list = symbol === undefined ? symbols : [symbol];
  const fault =
    symbol !== undefined && symbols !== undefined
      ? "found both symbol and symbols, wanted one of them"
      : list === undefined
        ? "found neither symbol nor symbols, wanted one of them"
        : faultOfSymbols(list);
  if (fault !== undefined) {
    throw new QmtlError("SYMBOL_INVALID", `Cannot make ${label}: ${fault}`);
  }
  return (list === undefined || list === "*" ? [] : list).slice();
}

function faultOfSymbols(list: readonly string[] | "*"): string | undefined {
  if (list === "*") return undefined;
  if (list.length === 0 || list.length > maxKeysLimit) {
    return `found ${list.length} symbols, wanted 1 to ${maxKeysLimit}`;
  }
  const twice = list.find((name, i) => list.indexOf(name) !== i);
  if (twice !== undefined) return `found the symbol "${twice}" twice, wanted each once`;
  const bad = list.find((name) => name === "" || name.includes("|") || name.length > 200);
  return bad === undefined
    ? undefined
    : `found the symbol "${bad}", wanted 1 to 200 characters without |`;
}

function maxKeysOf(options: StreamInputOptions<Schema>, label: string): number {
  const { maxKeys = maxKeysDefault } = options;
  if (Number.isInteger(maxKeys) && maxKeys >= 1 && maxKeys <= maxKeysLimit) return maxKeys;
  throw new QmtlError(
    "ARGUMENT_INVALID",
    `Cannot make ${label}: maxKeys is ${maxKeys}, wanted an integer from 1 to ${maxKeysLimit}`,
  );
}
