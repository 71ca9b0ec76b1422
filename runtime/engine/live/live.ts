import { randomUUID } from "node:crypto";
import { availableParallelism } from "node:os";
import { type ConnectorIndex, type ConnectorRef, openByRef } from "../../contract/connector.ts";
import { type OpenStateStore } from "../../contract/state-store.ts";
import { type OpenTransport, type Transport } from "../../contract/transport.ts";
import { type WatchLimits, watchDefaults } from "../../coordinator/deaths.ts";
import { type Crash, type LiveThreads, runLiveThreads } from "../../coordinator/live-threads.ts";
import { systemClock } from "../../core/clock.ts";
import { QmtlError } from "../../core/errors.ts";
import { newLog } from "../../core/log.ts";
import { type Graph } from "../../graph/graph.ts";
import { repartitionTopic, type StagedGraph, stagedOf } from "../../graph/stages.ts";
import {
  idsOf,
  prepare,
  type StrategyClass,
  type StrategyFlags,
  type StrategyRef,
} from "../../graph/strategy.ts";
import { BoardRow, boardSum, newBoardMemory } from "../../worker/live/board.ts";
import { type LiveResult } from "../../worker/live/live-loop.ts";
import {
  type LatencyProbe,
  type LiveOrder,
  type LivePace,
  type OffsetReset,
} from "../../worker/live/live-order.ts";
import { type MeterMemory, newMeterMemory } from "../../worker/live/meters.ts";
import { runLiveLoop } from "../../worker/live/run-live-loop.ts";
import { newProfileMemory } from "../../worker/node-profile.ts";
import { pendingBarsMax } from "../../worker/task/pending-rows.ts";
import { type Profile, phaseSeconds, profileOf } from "../profile.ts";
import { checkLiveLimits } from "./live-limits.ts";
import { LiveView } from "./live-view.ts";

/** Paces and limits of a live run, by default. */
export const paceDefaults: LivePace = {
  fetchWaitMsMax: 100,
  partitionBytesMax: 1 << 20,
  fetchBytesMax: 8 << 20,
  batchBytesMax: 1 << 20,
  compression: "none",
  checkpointMs: 250,
  maxPendingBars: pendingBarsMax,
};

/** How long a repartition topic keeps what was forwarded: what a join has to catch up with, ms. */
const forwardedMs = 7 * 86_400_000;

/** A live run, everything resolved. */
export interface Live {
  readonly strategy: StrategyClass;
  /** Where threads find the class; without it the run stays in this thread. */
  readonly ref: StrategyRef | undefined;
  readonly flags: StrategyFlags;
  readonly transport: string;
  readonly state: string | undefined;
  readonly deployment: string;
  readonly threads: number | undefined;
  readonly recordsMax: number | undefined;
  readonly latency: LatencyProbe | undefined;
  readonly offsetReset: OffsetReset;
  readonly pace: Partial<LivePace>;
  readonly watch: Partial<WatchLimits>;
  readonly connectors: ConnectorIndex;
  readonly onCrash: (crash: Crash & { readonly name: string }) => void;
  /** Port of `/metrics` and `/healthz` on the loopback address, 0 for a free one; default: none. */
  readonly metricsPort?: number | undefined;
  readonly onListen?: ((url: string) => void) | undefined;
  /** True: nodes are timed. */
  readonly profile?: boolean | undefined;
}

/** What a live run came to. */
export interface LiveReport {
  readonly strategy: string;
  readonly mode: "live";
  readonly deployment: string;
  /** Records taken; one that a thread took again after a crash counts once. */
  readonly records: number;
  /** Records that nodes emitted, published or not; what was computed again counts again. */
  readonly outputs: number;
  /** From just before the first fetch to the last record that had run through the plan. */
  readonly seconds: number;
  /** The same from the first record on. */
  readonly secondsFromFirst: number;
  /** Latency percentiles, ms; NaN where none was measured. */
  readonly p50: number;
  readonly p99: number;
  readonly slowPath: number;
  readonly deadLetters: number;
  readonly checkpoints: number;
  /** Positions that were gone from a topic and moved to where `offsetReset` says. */
  readonly offsetResets: number;
  /** Deaths of threads that were brought back. */
  readonly crashes: number;
  /** Nodes that crashed too often, `name/partition`: they emitted nothing there at the end. */
  readonly quarantined: readonly string[];
  /** Quarantines that were over before the end. */
  readonly released: number;
  readonly threads: number;
  /** Where the threads' time went: waiting for records, running the plan, sending and saving. */
  readonly fetchSeconds: number;
  readonly computeSeconds: number;
  readonly flushSeconds: number;
  /** Where time went node by node; absent if it was not asked for. */
  readonly profile?: Profile;
}

/**
 * Runs a strategy over a transport until the signal aborts or `recordsMax` records are taken.
 *
 * @throws QmtlError as `retryOf` says: GRAPH_INVALID, PUBLISH_TOPIC_SHARED, TOPIC_UNKNOWN, …
 */
export async function runLive(live: Live, signal: AbortSignal): Promise<LiveReport> {
  checkLiveLimits({
    deployment: live.deployment,
    threads: live.threads,
    recordsMax: live.recordsMax,
    latency: live.latency,
    offsetReset: live.offsetReset,
    pace: live.pace,
    watch: live.watch,
  });
  const { graph: source } = prepare(live.strategy, live.flags);
  const staged = stagedOf(source);
  const { graph } = staged;
  const plan = await planOf(live, { source, staged }, signal);
  const view = await LiveView.open({
    graph,
    orders: plan.orders,
    meters: plan.meters,
    stallMsMax: live.watch.stallMsMax ?? watchDefaults.stallMsMax,
    metricsPort: live.metricsPort,
    onListen: live.onListen ?? (() => undefined),
    log: newLog(),
  });
  let ended: Readonly<Record<string, unknown>> = {};
  try {
    const report = await runOrders(live, { ...plan, source, graph, view }, signal);
    ended = { records: report.records, outputs: report.outputs, crashes: report.crashes };
    return report;
  } catch (error) {
    ended = { error };
    throw error;
  } finally {
    await view.close(ended);
  }
}

interface LivePlan {
  /** One a thread. */
  readonly orders: readonly LiveOrder[];
  readonly meters: MeterMemory;
  /** True: the one order runs in this thread. */
  readonly isLocal: boolean;
}

/** A live run's threads: topics checked and made, partitions dealt, shared memory sized. */
async function planOf(
  live: Live,
  { source, staged }: { readonly source: Graph; readonly staged: StagedGraph },
  signal: AbortSignal,
): Promise<LivePlan> {
  const transport = live.connectors.refOf("transport", live.transport);
  const { graph } = staged;
  const read = inputTopics(staged);
  const outputs = outputTopics(graph, read);
  const forwarded = forwardedTopics(staged);
  const partitions = await readyTopics(transport, { read, outputs, forwarded }, signal);
  const inputs = [...read, ...forwarded];
  const isLocal = live.ref === undefined || live.transport.startsWith("memory:");
  const wanted = isLocal ? 1 : Math.min(partitions, live.threads ?? availableParallelism());
  const board = newBoardMemory(wanted);
  const meters = newMeterMemory({
    threads: wanted,
    inputs: inputs.length,
    partitionsPerInput: partitions,
    nodes: graph.nodes.length,
  });
  const base = {
    strategy: live.ref ?? { module: "", exportName: "" },
    flags: live.flags,
    ids: idsOf(source),
    deployment: live.deployment,
    run: randomUUID(),
    transport,
    // What threads keep in memory must outlive them: the coordinator keeps it.
    state:
      live.state === undefined || (!isLocal && isInMemory(live.state))
        ? undefined
        : live.connectors.refOf("state", live.state),
    inputs,
    outputs,
    offsetReset: live.offsetReset,
    pace: { ...paceDefaults, ...live.pace },
    recordsMax: live.recordsMax,
    latency: live.latency,
    quarantined: [],
    isPoisoning: process.env["NODE_ENV"] === "development",
    board,
    meters,
  };
  const orders = Array.from(
    { length: wanted },
    (_, thread): LiveOrder => ({
      ...base,
      ...(live.profile === true ? { profile: newProfileMemory(graph.nodes.length) } : {}),
      thread,
      partitions: Array.from({ length: partitions }, (_p, p) => p).filter(
        (p) => p % wanted === thread,
      ),
    }),
  );
  return { orders, meters, isLocal };
}

/** Runs the orders, in this thread or on threads of their own, and reports. */
async function runOrders(
  live: Live,
  plan: LivePlan & { readonly source: Graph; readonly graph: Graph; readonly view: LiveView },
  signal: AbortSignal,
): Promise<LiveReport> {
  const { graph, orders, source, view } = plan;
  let crashes = 0;
  const results = plan.isLocal
    ? await runHere(source, orders, signal)
    : await runWithState(
        live,
        {
          orders,
          limits: { ...watchDefaults, ...live.watch },
          clock: systemClock,
          nameOf: (node) => graph.nodes[node]?.name ?? "no node",
          onCrash: (crash) => {
            crashes += 1;
            live.onCrash(view.crashed(crash));
          },
        },
        signal,
      );
  const rows = orders.map(({ board, thread }) => new BoardRow(board, thread));
  const profile = profileOfOrders(graph, orders, rows);
  return {
    strategy: live.strategy.name,
    mode: "live",
    deployment: live.deployment,
    ...reportOf(rows, results),
    crashes,
    ...view.quarantines(),
    ...(profile === undefined ? {} : { profile }),
  };
}

/** Runs the threads with a store in memory, for the state of those whose orders name none. */
async function runWithState(
  { connectors, state = "memory:" }: Live,
  threads: Omit<LiveThreads, "state">,
  signal: AbortSignal,
): Promise<readonly LiveResult[]> {
  const ref = connectors.refOf("state", isInMemory(state) ? state : "memory:");
  const open = await openByRef<OpenStateStore>(ref);
  const store = await open(ref.url, signal);
  try {
    return await runLiveThreads({ ...threads, state: store }, signal);
  } finally {
    await store.close();
  }
}

function isInMemory(state: string | undefined): boolean {
  return state === undefined || state.startsWith("memory:");
}

/** The run's profile, if one was asked for. */
function profileOfOrders(
  graph: Graph,
  orders: readonly LiveOrder[],
  rows: readonly BoardRow[],
): Profile | undefined {
  const memories = orders.flatMap(({ profile }) => (profile === undefined ? [] : [profile]));
  if (memories.length === 0) return undefined;
  const seconds = (field: "fetchMs" | "computeMs" | "flushMs"): number =>
    boardSum(rows, field) / 1_000;
  const seal = phaseSeconds(memories, "sealMs");
  const network = seconds("fetchMs") + seconds("flushMs") - seal;
  const encode = phaseSeconds(memories, "encodeMs") + seal;
  return profileOf(graph, memories, {
    run: seconds("computeMs") + seal,
    encode,
    others: { network },
  });
}

/** Runs the one order in this thread. */
async function runHere(
  graph: Graph,
  orders: readonly LiveOrder[],
  signal: AbortSignal,
): Promise<readonly LiveResult[]> {
  const results: LiveResult[] = [];
  for (const order of orders) {
    const open = await openByRef<OpenTransport>(order.transport);
    const transport = await open(order.transport.url, signal);
    try {
      new BoardRow(order.board, order.thread).begin();
      results.push(await runLiveLoop(order, graph, { transport }, signal));
    } finally {
      await transport.close();
    }
  }
  return results;
}

/** A topic with the stream that is read from it, the first if they are several. */
interface InputTopic {
  readonly stream: number;
  readonly topic: string;
}

/** The topic of each stream that the strategy declares. */
function inputTopics({ graph, forwards }: StagedGraph): readonly InputTopic[] {
  const forwarded = new Set(forwards.map(({ to }) => to));
  return graph.nodes
    .filter(({ index, kind }) => kind === "stream" && !forwarded.has(index))
    .map(({ index, source, definitionId }) => {
      const isNamed = source !== undefined && "topic" in source;
      return { stream: index, topic: isNamed ? source.topic : `qmtl.stream.${definitionId}` };
    });
}

/** The repartition topic of each join that has one. */
function forwardedTopics({ graph, forwards }: StagedGraph): readonly InputTopic[] {
  return forwards
    .filter(({ input }) => input === 0)
    .flatMap(({ join, to }) => {
      const node = graph.nodes[join];
      return node === undefined ? [] : [{ stream: to, topic: repartitionTopic(node) }];
    });
}

/** The topic of each published node; one definition a topic, so that its offsets are its own. */
function outputTopics(
  graph: Graph,
  inputs: readonly InputTopic[],
): readonly { readonly node: number; readonly topic: string }[] {
  const outputs = graph.nodes.flatMap(({ index, kind, publish, definitionId }) => {
    if (kind === "stream" || publish === false) return [];
    const topic = publish === true ? `qmtl.stream.${definitionId}` : publish.topic;
    return [{ node: index, topic }];
  });
  const topics = outputs.map(({ topic }) => topic);
  const shared = topics.find((topic, i) => topics.indexOf(topic) !== i);
  if (shared !== undefined) {
    throw new QmtlError(
      "PUBLISH_TOPIC_SHARED",
      `Cannot publish two nodes to "${shared}": found ${topics.filter((topic) => topic === shared).length}, wanted one definition a topic`,
      { topic: shared },
    );
  }
  const own = topics.find((topic) => inputs.some((input) => input.topic === topic));
  if (own !== undefined) {
    throw new QmtlError(
      "PUBLISH_TOPIC_SHARED",
      `Cannot publish to "${own}": the strategy reads it as an input, wanted a topic of its own`,
      { topic: own },
    );
  }
  return outputs;
}

interface LiveTopics {
  readonly read: readonly InputTopic[];
  readonly outputs: readonly { readonly topic: string }[];
  readonly forwarded: readonly InputTopic[];
}

/** Checks the input topics, makes all others, and returns the partition count of all. */
async function readyTopics(
  ref: ConnectorRef,
  { read: inputs, outputs, forwarded }: LiveTopics,
  signal: AbortSignal,
): Promise<number> {
  const open = await openByRef<OpenTransport>(ref);
  const transport: Transport = await open(ref.url, signal);
  try {
    const counts = await Promise.all(
      inputs.map(async ({ topic }) => await transport.partitionsOf(topic, signal)),
    );
    const partitions = counts[0] ?? 0;
    const other = counts.findIndex((count) => count !== partitions);
    if (other >= 0) {
      throw new QmtlError(
        "TOPIC_PARTITIONS_MISMATCH",
        `Cannot run live: "${inputs[other]?.topic}" has ${counts[other]} partitions, "${inputs[0]?.topic}" ${partitions}, wanted the same count`,
      );
    }
    for (const { topic } of outputs)
      await transport.ensureTopic({ name: topic, partitions }, signal);
    for (const { topic } of forwarded) {
      await transport.ensureTopic({ name: topic, partitions, retentionMs: forwardedMs }, signal);
    }
    return partitions;
  } finally {
    await transport.close();
  }
}

/** What a report has from elsewhere than the threads' rows. */
type NotOfRows = "strategy" | "mode" | "deployment" | "crashes" | "quarantined" | "released";

function reportOf(
  rows: readonly BoardRow[],
  results: readonly LiveResult[],
): Omit<LiveReport, NotOfRows> {
  const began = Math.min(...rows.map((row) => row.get("firstFetchMs")));
  const active = rows.filter((row) => row.get("records") > 0);
  const first = Math.min(...active.map((row) => row.get("firstRecordMs")));
  const last = Math.max(...active.map((row) => row.get("lastRecordMs")));
  const latencies = mergeSorted(results.map(({ latencies: own }) => own));
  return {
    records: boardSum(rows, "records"),
    outputs: boardSum(rows, "outputs"),
    seconds: active.length === 0 ? 0 : (last - began) / 1_000,
    secondsFromFirst: active.length === 0 ? 0 : (last - first) / 1_000,
    p50: percentile(latencies, 0.5),
    p99: percentile(latencies, 0.99),
    slowPath: boardSum(rows, "slowPath"),
    deadLetters: boardSum(rows, "deadLetters"),
    checkpoints: boardSum(rows, "checkpoints"),
    offsetResets: boardSum(rows, "offsetResets"),
    threads: rows.length,
    fetchSeconds: boardSum(rows, "fetchMs") / 1_000,
    computeSeconds: boardSum(rows, "computeMs") / 1_000,
    flushSeconds: boardSum(rows, "flushMs") / 1_000,
  };
}

function mergeSorted(parts: readonly Float64Array[]): Float64Array {
  const all = new Float64Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all.toSorted();
}

function percentile(sorted: Float64Array, share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
