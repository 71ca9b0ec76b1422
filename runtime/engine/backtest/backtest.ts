import { type ConnectorIndex } from "../../contract/connector.ts";
import { type Exchange } from "../../contract/exchange.ts";
import { type HistoryStore, type TimeRange } from "../../contract/history-store.ts";
import { QmtlError } from "../../core/errors.ts";
import { Interval } from "../../core/interval.ts";
import { type Graph } from "../../graph/graph.ts";
import {
  type Prepared,
  prepare,
  type StrategyClass,
  type StrategyFlags,
  type StrategyRef,
} from "../../graph/strategy.ts";
import { type ProfilePhase } from "../../worker/node-profile.ts";
import { openLastingHistory } from "../../worker/outage/lasting-history.ts";
import { type TaskCounts } from "../../worker/protocol.ts";
import { missingIn } from "../coverage.ts";
import { type Profile, phaseSeconds, profileOf } from "../profile.ts";
import { historyDefault, historyRecordedDefault, type RunSettings } from "../settings.ts";
import { backfillStreams, type StreamFill, streamRoots } from "./backfill-streams.ts";
import { equityOf } from "./equity.ts";
import { chooseExchange, openStandIn } from "./exchange-choice.ts";
import { OutputRecorder } from "./output-recorder.ts";
import { ReplayedRows, replayAll } from "./replay-all.ts";
import { type BacktestReport, type EquityReport, type RunProgress } from "./report.ts";
import { checkState } from "./state-check.ts";

/** A backtest, everything resolved. */
export interface Backtest {
  readonly strategy: StrategyClass;
  /** Where worker threads find the class; without it the run stays in this thread. */
  readonly ref: StrategyRef | undefined;
  readonly flags: StrategyFlags;
  readonly settings: RunSettings;
  /** Length of the range if no start is given, ms. */
  readonly spanMs: number;
  readonly connectors: ConnectorIndex;
  readonly onProgress: (progress: RunProgress) => void;
  /** True: nodes are timed. */
  readonly profile?: boolean | undefined;
}

/** A backtest that knows where its rows lie. */
export interface RunningBacktest extends Backtest {
  /** URL of the history store: the setting, else what the streams name, else the default. */
  readonly history: string;
}

/** What a run has opened and found out before it fetches. */
interface Opened {
  readonly store: HistoryStore;
  readonly exchange: Exchange | undefined;
  readonly isSimulated: boolean;
  readonly range: TimeRange;
  readonly notes: readonly string[];
}

/**
 * Completes history, replays it through the strategy and records the outputs.
 *
 * @throws QmtlError as `retryOf` says; nothing is left half-written.
 */
export async function backtest(given: Backtest, signal: AbortSignal): Promise<BacktestReport> {
  const prepared = prepare(given.strategy, given.flags);
  const run = { ...given, history: historyOf(given, prepared.graph) };
  const opened = await openAll(run, prepared.graph, signal);
  try {
    for (const text of opened.notes) run.onProgress({ kind: "note", text });
    const started = performance.now();
    const fills = await backfillStreams(
      {
        graph: prepared.graph,
        store: opened.store,
        exchange: opened.exchange,
        range: opened.range,
        isRefetching: run.settings.refetch,
        onProgress: run.onProgress,
      },
      signal,
    );
    const filled = performance.now();
    const recorder = new OutputRecorder(prepared.graph, opened.store);
    const replayed = new ReplayedRows(run, prepared.graph, opened.range);
    const profiles: SharedArrayBuffer[] = [];
    const isAnew = fills.some(({ fetched }) => fetched > 0);
    const input = { ...opened, graph: prepared.graph, isAnew, recorder, replayed, profiles };
    const counts = await replayAll(run, input, signal);
    const tallies = counts.flatMap((own) => own.tallies);
    await recorder.finish(tallies, opened.range, signal);
    const ended = performance.now();
    const outputs = { graph: prepared.graph, store: opened.store, tallies };
    const equity = await equityOf(outputs, signal);
    return reportOf(run, prepared, opened, {
      fills,
      recorder,
      replayed,
      counts,
      equity,
      profile: profileOfReplay(prepared.graph, profiles),
      backfillSeconds: (filled - started) / 1_000,
      replaySeconds: (ended - filled) / 1_000,
    });
  } finally {
    await opened.exchange?.close();
    await opened.store.close();
  }
}

/** Opens what the run needs, all at once: whatever is down is named at the start. */
async function openAll(run: RunningBacktest, graph: Graph, signal: AbortSignal): Promise<Opened> {
  const failure = new AbortController();
  const either = AbortSignal.any([signal, failure.signal]);
  const stop = (error: unknown): never => {
    failure.abort(error);
    throw error;
  };
  const [opened] = await Promise.allSettled([
    open(run, graph, either).catch(stop),
    checkState(run, either).catch(stop),
  ]);
  if (opened.status === "fulfilled" && failure.signal.aborted) {
    await opened.value.exchange?.close();
    await opened.value.store.close();
  }
  failure.signal.throwIfAborted();
  if (opened.status === "rejected") throw opened.reason;
  return opened.value;
}

/** Opens store and exchange; falls back to the simulated exchange only as `--exchange auto` says. */
async function open(run: RunningBacktest, graph: Graph, signal: AbortSignal): Promise<Opened> {
  const { settings, connectors } = run;
  checkRange(settings);
  const isSimulated =
    typeof settings.exchange === "object" && settings.exchange.kind === "simulated";
  const store = await openStore(run, isSimulated, signal);
  let exchange: Exchange | undefined;
  try {
    if (settings.end !== undefined && !settings.refetch) {
      const range = rangeOf(run, graph, settings.end);
      if (await isCovered(store, graph, range, signal)) {
        return { store, exchange: undefined, isSimulated, range, notes: [] };
      }
    }
    const symbols = [...new Set(streamRoots(graph).map(({ key }) => key))];
    const onNotice = (text: string): void => run.onProgress({ kind: "note", text });
    const asked = { settings, symbols, onNotice };
    const chosen = await chooseExchange(connectors, asked, signal);
    if (chosen.kind === "open") {
      exchange = chosen.exchange;
      const { range, notes } = cutRange(run, graph, chosen.serverTimeMs);
      return { store, exchange, isSimulated, range, notes };
    }
    const { range } = cutRange(run, graph, Date.now());
    if (await hasAny(store, graph, range, signal)) {
      const note = `The exchange can't be reached (${chosen.reason}): stored bars are used, what is missing is listed`;
      return { store, exchange: undefined, isSimulated, range, notes: [note] };
    }
    await store.close();
    return await openSimulated(run, graph, chosen.reason, signal);
  } catch (error) {
    await exchange?.close();
    await store.close();
    throw error;
  }
}

async function openSimulated(
  run: RunningBacktest,
  graph: Graph,
  reason: string,
  signal: AbortSignal,
): Promise<Opened> {
  const store = await openStore(run, true, signal);
  let exchange: Exchange | undefined;
  try {
    exchange = await openStandIn(run.connectors, signal);
    const { range, notes } = cutRange(run, graph, await exchange.serverTime(signal));
    const note = `The exchange can't be reached (${reason}): going on with SIMULATED bars in a store of their own`;
    return { store, exchange, isSimulated: true, range, notes: [note, ...notes] };
  } catch (error) {
    await exchange?.close();
    await store.close();
    throw error;
  }
}

async function openStore(
  run: RunningBacktest,
  isSimulated: boolean,
  signal: AbortSignal,
): Promise<HistoryStore> {
  const ref = run.connectors.refOf("history", run.history);
  const options = { mode: "write", isSimulated } as const;
  const onNote = (text: string): void => run.onProgress({ kind: "note", text });
  const limitMs = run.settings.outageMsMax;
  return await openLastingHistory({ ref, options, onNote, limitMs }, signal);
}

/** @throws QmtlError CONFIG_INVALID if two streams name different stores and no setting decides. */
function historyOf({ settings }: Backtest, graph: Graph): string {
  if (settings.history !== undefined) return settings.history;
  const named = new Set(graph.nodes.flatMap(({ store }) => (store === undefined ? [] : [store])));
  const { exchange } = settings;
  const isRecorded = typeof exchange === "object" && exchange.kind === "recorded";
  const [store = isRecorded ? historyRecordedDefault : historyDefault, other] = named;
  if (other === undefined) return store;
  throw new QmtlError(
    "CONFIG_INVALID",
    `Cannot choose the history store: the streams name ${[...named].join(" and ")}, wanted one (--history)`,
  );
}

function checkRange({ start, end }: RunSettings): void {
  if (start !== undefined && end !== undefined && start >= end) {
    throw new QmtlError(
      "RANGE_INVALID",
      `Cannot backtest from ${iso(start)} to ${iso(end)}: the start is not before the end, wanted one that is`,
    );
  }
}

/** The range before it is cut to closed bars; without a start, `spanMs` back from the end. */
function rangeOf(run: RunningBacktest, graph: Graph, end: number): TimeRange {
  const finest = finestInterval(graph);
  const start = run.settings.start ?? finest.floor(end - run.spanMs);
  return { start, end };
}

/** The range cut to bars that are closed by the exchange's clock. */
function cutRange(
  run: RunningBacktest,
  graph: Graph,
  serverTimeMs: number,
): { readonly range: TimeRange; readonly notes: readonly string[] } {
  const { start, end } = run.settings;
  const closed = finestInterval(graph).floor(serverTimeMs);
  if (start !== undefined && start >= closed) {
    throw new QmtlError(
      "RANGE_IN_FUTURE",
      `Cannot backtest from ${iso(start)}: the exchange's last closed bar ends at ${iso(closed)}, wanted a start before that`,
    );
  }
  const isCut = end !== undefined && end > closed;
  const range = rangeOf(run, graph, isCut || end === undefined ? closed : end);
  const notes = isCut
    ? [`The end ${iso(end)} is beyond the last closed bar: cut to ${iso(closed)}`]
    : [];
  return { range, notes };
}

function finestInterval(graph: Graph): Interval {
  const intervals = graph.nodes
    .filter(({ kind }) => kind === "stream")
    .map(({ interval }) => interval)
    .toSorted((a, b) => a.lengthMs - b.lengthMs);
  return intervals[0] ?? Interval.of("1m");
}

async function isCovered(
  store: HistoryStore,
  graph: Graph,
  range: TimeRange,
  signal: AbortSignal,
): Promise<boolean> {
  for (const { series } of streamRoots(graph)) {
    if (missingIn(await store.coverage(series, signal), range).length > 0) return false;
  }
  return true;
}

async function hasAny(
  store: HistoryStore,
  graph: Graph,
  range: TimeRange,
  signal: AbortSignal,
): Promise<boolean> {
  for (const { series } of streamRoots(graph)) {
    const { have } = await store.coverage(series, signal);
    if (have.some(({ start, end }) => start < range.end && end > range.start)) return true;
  }
  return false;
}

function reportOf(
  run: RunningBacktest,
  prepared: Prepared,
  opened: Opened,
  measured: {
    readonly fills: readonly StreamFill[];
    readonly recorder: OutputRecorder;
    readonly replayed: ReplayedRows;
    readonly counts: readonly TaskCounts[];
    readonly equity: readonly EquityReport[] | undefined;
    readonly profile: Profile | undefined;
    readonly backfillSeconds: number;
    readonly replaySeconds: number;
  },
): BacktestReport {
  const streams = measured.counts.flatMap((counts) => counts.streams);
  const records = streams.reduce((sum, { counts }) => sum + counts.accepted, 0);
  const { backfillSeconds, replaySeconds, fills } = measured;
  return {
    strategy: prepared.name,
    mode: "backtest",
    exchange: opened.exchange?.name ?? "none",
    simulated: opened.isSimulated,
    history: storeOf(run, opened),
    start: opened.range.start,
    end: opened.range.end,
    threads: measured.counts.length,
    streams: fills.map((fill) => ({ ...fill, rows: measured.replayed.of(fill.nodeId) })),
    nodes: measured.recorder.reports(),
    refused: measured.counts
      .flatMap((counts) => counts.nodes)
      .reduce((sum, { refused }) => sum + refused, 0),
    late: streams.reduce((sum, { counts }) => sum + counts.late + counts.duplicate, 0),
    records,
    requests: fills.reduce((sum, { requests }) => sum + requests, 0),
    backfillSeconds,
    replaySeconds,
    recordsPerSecond: replaySeconds > 0 ? records / replaySeconds : 0,
    notes: [...prepared.notes, ...opened.notes],
    ...(measured.equity === undefined ? {} : { equity: measured.equity }),
    ...(measured.profile === undefined ? {} : { profile: measured.profile }),
  };
}

/** Where the replay's time went; undefined if it was not timed. */
function profileOfReplay(
  graph: Graph,
  memories: readonly SharedArrayBuffer[],
): Profile | undefined {
  if (memories.length === 0) return undefined;
  const seconds = (phase: ProfilePhase): number => phaseSeconds(memories, phase);
  const others = { read: seconds("readMs"), store: seconds("waitMs") };
  const run = seconds("totalMs") - others.read - others.store;
  return profileOf(graph, memories, { run, encode: seconds("encodeMs"), others });
}

/** Where the rows lie: simulated ones in a file of their own. */
function storeOf(run: RunningBacktest, opened: Opened): string {
  const { history } = run;
  const isFile = history.startsWith("sqlite:");
  return opened.isSimulated && isFile ? history.replace(/(?=\?[^?]*$)|$/, ".simulated") : history;
}

function iso(ms: number): string {
  return Number.isFinite(ms) && Math.abs(ms) < 8.64e15 ? new Date(ms).toISOString() : String(ms);
}
