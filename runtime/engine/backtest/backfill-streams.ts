import { type Exchange } from "../../contract/exchange.ts";
import { type HistoryStore, type Series, type TimeRange } from "../../contract/history-store.ts";
import { Interval } from "../../core/interval.ts";
import { type Graph } from "../../graph/graph.ts";
import { seriesOf } from "../../worker/replay/replay.ts";
import { fillMissing } from "../backfill.ts";
import { barsIn, intersectRanges, missingIn } from "../coverage.ts";
import { type RunProgress, type StreamReport } from "./report.ts";

/** Series that are fetched at the same time; the exchange's weight budget paces them all. */
const seriesAtOnceMax = 8;
/** Bars from which the cost is shown before the fetch begins. */
const estimateBarsMin = 50_000;

/** A stream's key and its series. */
export interface StreamRoot {
  readonly name: string;
  readonly key: string;
  readonly series: Series;
}

/** What a backfill of one series came to. */
export type StreamFill = Omit<StreamReport, "rows">;

/** What is to be filled, from where to where. */
export interface StreamsToFill {
  readonly graph: Graph;
  readonly store: HistoryStore;
  /** Undefined: nothing can be fetched, what is not stored is listed as missing. */
  readonly exchange: Exchange | undefined;
  readonly range: TimeRange;
  readonly isRefetching: boolean;
  readonly onProgress: (progress: RunProgress) => void;
}

/** All keys of all streams of a graph. */
export function streamRoots(graph: Graph): readonly StreamRoot[] {
  return graph.nodes
    .filter(({ kind }) => kind === "stream")
    .flatMap((node) =>
      node.keys.map(({ key }) => ({
        name: node.name,
        key,
        series: seriesOf(graph, node.index, key),
      })),
    );
}

/** Completes the history of every stream, several at once, and says what each has. */
export async function backfillStreams(
  fill: StreamsToFill,
  signal: AbortSignal,
): Promise<readonly StreamFill[]> {
  const roots = streamRoots(fill.graph);
  if (fill.isRefetching && fill.exchange !== undefined) {
    for (const { series } of roots) await fill.store.forget(series, cut(fill, series), signal);
  }
  await tellEstimate(fill, roots, signal);
  const fills: StreamFill[] = [];
  const failure = new AbortController();
  const both = AbortSignal.any([signal, failure.signal]);
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < roots.length) {
      const index = next;
      next += 1;
      const root = roots[index];
      if (root !== undefined) fills[index] = await fillOne(fill, root, both);
    }
  };
  const lanes = Array.from({ length: Math.min(seriesAtOnceMax, roots.length) }, async () => {
    try {
      await lane();
    } catch (error) {
      failure.abort(error);
      throw error;
    }
  });
  await Promise.allSettled(lanes);
  failure.signal.throwIfAborted();
  signal.throwIfAborted();
  return fills;
}

async function tellEstimate(
  fill: StreamsToFill,
  roots: readonly StreamRoot[],
  signal: AbortSignal,
): Promise<void> {
  if (fill.exchange === undefined) return;
  let bars = 0;
  for (const { series } of roots) {
    const missing = missingIn(await fill.store.coverage(series, signal), cut(fill, series));
    bars += barsIn(missing, Interval.of(series.interval));
  }
  if (bars < estimateBarsMin) return;
  const { requests, weight, seconds } = fill.exchange.estimate(bars);
  fill.onProgress({
    kind: "note",
    text: `To fetch: ${bars.toLocaleString("en")} bars in ${requests.toLocaleString("en")} requests of weight ${weight.toLocaleString("en")}, at least ${Math.ceil(seconds)} s`,
  });
}

async function fillOne(
  fill: StreamsToFill,
  root: StreamRoot,
  signal: AbortSignal,
): Promise<StreamFill> {
  const { store, exchange, onProgress } = fill;
  const { series, key } = root;
  const range = cut(fill, series);
  const interval = Interval.of(series.interval);
  const missing = missingIn(await store.coverage(series, signal), range);
  const total = barsIn(missing, interval);
  const label = `${key} ${series.interval}`;
  let fetched = 0;
  let requests = 0;
  if (exchange !== undefined && missing.length > 0) {
    const result = await fillMissing(
      {
        store,
        exchange,
        series,
        range,
        onProgress: ({ rowsFetched }) => {
          onProgress({ kind: "backfill", label, done: rowsFetched, total });
        },
      },
      signal,
    );
    fetched = result.rowsFetched;
    requests = result.requests;
    for (const hole of result.holes) {
      onProgress({
        kind: "note",
        text: `${label}: the exchange has no bars from ${new Date(hole.start).toISOString()} to ${new Date(hole.end).toISOString()}`,
      });
    }
  }
  const coverage = await store.coverage(series, signal);
  const gaps = intersectRanges(coverage.empty, [range]);
  return {
    name: root.name,
    key,
    nodeId: series.nodeId,
    definitionId: series.definitionId,
    interval: series.interval,
    fetched,
    requests,
    gaps,
    missing: missingIn(coverage, range),
  };
}

function cut(fill: StreamsToFill, series: Series): TimeRange {
  return { start: fill.range.start, end: Interval.of(series.interval).floor(fill.range.end) };
}
