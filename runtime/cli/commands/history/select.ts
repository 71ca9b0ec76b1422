import { type HistoryStore, type Series, type TimeRange } from "../../../contract/history-store.ts";
import { kline } from "../../../contract/kline.ts";
import { isSameSchema } from "../../../contract/schema.ts";
import { QmtlError } from "../../../core/errors.ts";
import { type IntervalName } from "../../../core/interval.ts";
import { resolveSettings } from "../../../engine/settings.ts";
import { definitionIdOf, nodeIdOf } from "../../../graph/ids.ts";

/** Candidates that an error lists, at most. */
const listedMax = 10;
const nodeIdPattern = /^[0-9a-f]{32}$/;

/** Flags that choose series. */
export const seriesArgs = {
  symbol: { type: "string", description: "Key, BTCUSDT" },
  interval: { type: "string", description: "Bar length, 1m" },
  node: { type: "string", description: "Name or ID of a node" },
} as const;

/** Flags that choose a range of time. */
export const rangeArgs = {
  start: { type: "string", description: "First open time: ISO, epoch s or ms" },
  end: { type: "string", description: "End of open times, exclusive" },
} as const;

/** What `seriesArgs` come to. */
export interface SeriesFlags {
  readonly symbol?: string | undefined;
  readonly interval?: string | undefined;
  readonly node?: string | undefined;
}

/** What `rangeArgs` come to; undefined where nothing was given. */
export function rangeOf(flags: {
  readonly start?: string | undefined;
  readonly end?: string | undefined;
}): Partial<TimeRange> {
  const { start, end } = resolveSettings({ start: flags.start, end: flags.end }, process.env);
  if (start !== undefined && end !== undefined && start >= end) {
    throw new QmtlError(
      "RANGE_INVALID",
      `Cannot use the range: found start ${start} and end ${end}, wanted start < end`,
    );
  }
  return { ...(start === undefined ? {} : { start }), ...(end === undefined ? {} : { end }) };
}

/**
 * The stored series that the flags leave, in the store's order; without flags all of them.
 *
 * @throws QmtlError ARGUMENT_INVALID if there are none.
 */
export async function selectSeries(
  store: HistoryStore,
  flags: SeriesFlags,
  signal: AbortSignal,
): Promise<readonly Series[]> {
  const all = await store.list(signal);
  const found = matching(all, flags);
  if (found.length > 0 || Object.values(flags).every((flag) => flag === undefined)) return found;
  throw noneOf(all, flags);
}

/**
 * The one series that the flags name. Of a symbol and an interval alone, the exchange's own bars.
 *
 * @throws QmtlError ARGUMENT_INVALID if none or several match, listing the IDs of several.
 */
export function pickSeries(all: readonly Series[], flags: SeriesFlags): Series {
  const wanted = matching(all, flags);
  const streams = flags.node === undefined ? wanted.filter(isExchangeBars) : [];
  const klines = wanted.filter(({ schema }) => isSameSchema(schema, kline));
  for (const candidates of [wanted, streams, flags.node === undefined ? klines : []]) {
    const [series] = candidates;
    if (candidates.length === 1 && series !== undefined) return series;
  }
  if (wanted.length === 0) throw noneOf(all, flags);
  const listed = wanted
    .slice(0, listedMax)
    .map(({ nodeId, key, interval, name = "" }) => [nodeId, name, key, interval].join(" "))
    .join(", ");
  const more = wanted.length > listedMax ? `, … (${wanted.length - listedMax} more)` : "";
  throw new QmtlError(
    "ARGUMENT_INVALID",
    `Cannot choose a node: ${wanted.length} nodes match, wanted one by --symbol, --interval and --node NAME or ID: ${listed}${more}`,
  );
}

/** Bars of the exchange for a symbol: the series of a run's stream of them, whatever its name. */
export function exchangeSeries(symbol: string, interval: IntervalName): Series {
  const definitionId = exchangeDefinition(interval);
  return {
    nodeId: nodeIdOf(definitionId, symbol),
    definitionId,
    key: symbol,
    interval,
    schema: kline,
  };
}

/** True for the exchange's own bars: rows that it can be asked for. */
export function isExchangeBars(series: Series): boolean {
  return series.definitionId === exchangeDefinition(series.interval);
}

/** The bounds of what is had: from the first bar to the end of the last; undefined without bars. */
export function hullOf(have: readonly TimeRange[]): TimeRange | undefined {
  const [first, last] = [have[0], have.at(-1)];
  return first === undefined || last === undefined
    ? undefined
    : { start: first.start, end: last.end };
}

function exchangeDefinition(interval: IntervalName): string {
  const source = { exchange: "binance", market: "spot", data: "kline" };
  return definitionIdOf({ kind: "stream", source, interval, schema: kline });
}

function matching(all: readonly Series[], flags: SeriesFlags): readonly Series[] {
  const { symbol, interval, node } = flags;
  const isOfNode = ({ nodeId, name }: Series): boolean =>
    node === undefined || (nodeIdPattern.test(node) ? nodeId === node : name === node);
  const found = all.filter(
    (series) => isOfNode(series) && (interval === undefined || series.interval === interval),
  );
  if (symbol === undefined) return found;
  const exact = found.filter(({ key }) => key === symbol);
  // A named join's key holds all of its symbols: one of them is enough to tell which.
  return exact.length > 0 || node === undefined
    ? exact
    : found.filter(({ key }) => key.split("|").includes(symbol));
}

function noneOf(all: readonly Series[], { node }: SeriesFlags): QmtlError {
  const isUnnamed = node !== undefined && all.every(({ name }) => name === undefined);
  const hint =
    isUnnamed && !nodeIdPattern.test(node) ? "; this store keeps no names, give the ID" : "";
  return new QmtlError(
    "ARGUMENT_INVALID",
    `Cannot choose a node: 0 nodes match, wanted one that "qmtl history list" shows (--symbol, --interval, --node NAME or ID${hint})`,
  );
}
