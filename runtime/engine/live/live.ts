import { type ConnectorIndex, openByRef } from "../../contract/connector.ts";
import { type OpenStateStore } from "../../contract/state-store.ts";
import { type OpenTransport } from "../../contract/transport.ts";
import { type WatchLimits, watchDefaults } from "../../coordinator/deaths.ts";
import { type Crash, type LiveThreads, runLiveThreads } from "../../coordinator/live-threads.ts";
import { systemClock } from "../../core/clock.ts";
import { newLog } from "../../core/log.ts";
import { type Graph } from "../../graph/graph.ts";
import { stagedOf } from "../../graph/stages.ts";
import {
  prepare,
  type StrategyClass,
  type StrategyFlags,
  type StrategyRef,
} from "../../graph/strategy.ts";
import { BoardRow } from "../../worker/live/board.ts";
import {
  type LatencyProbe,
  type LiveOrder,
  type LivePace,
  type OffsetReset,
} from "../../worker/live/live-order.ts";
import { type LiveResult } from "../../worker/live/loop/live-loop.ts";
import { runLiveLoop } from "../../worker/live/run-live-loop.ts";
import { checkLiveLimits } from "./live-limits.ts";
import { type LiveReport, workOf } from "./live-report.ts";
import { isInMemory, type LivePlan, planOf } from "./plan/live-plan.ts";
import { LiveView } from "./view/live-view.ts";

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
  return {
    strategy: live.strategy.name,
    mode: "live",
    deployment: live.deployment,
    ...workOf(graph, orders, results),
    crashes,
    ...view.quarantines(),
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
