import { availableParallelism } from "node:os";
import { type HistoryStore, type TimeRange } from "../../contract/history-store.ts";
import { ordersFor, runReplayThreads } from "../../coordinator/replay-threads.ts";
import { Interval } from "../../core/interval.ts";
import { type Component, componentsOf, dealTasks, type Root } from "../../graph/components.ts";
import { type Graph } from "../../graph/graph.ts";
import { idsOf } from "../../graph/strategy.ts";
import { newProfileMemory } from "../../worker/node-profile.ts";
import { type LastingState, openLastingState } from "../../worker/outage/lasting-state.ts";
import { type ReplayOrder, type TaskCounts } from "../../worker/protocol.ts";
import { seriesOf } from "../../worker/replay/replay.ts";
import { runReplay } from "../../worker/replay/replay-run.ts";
import { replayCheckpoints } from "../../worker/replay/replay-state.ts";
import { type RunningBacktest } from "./backtest.ts";
import { type OutputRecorder } from "./output-recorder.ts";
import { stateOf } from "./state-check.ts";

/** A thread takes 0.2 s to start: with fewer bars each, one more costs more than it gives. */
const barsPerThreadMin = 250_000;

/** What a replay needs beside the run's settings. */
export interface ReplayInput {
  readonly graph: Graph;
  readonly store: HistoryStore;
  readonly isSimulated: boolean;
  readonly range: TimeRange;
  /** True: bars have come since any checkpoint was made; it is of other rows, and is dropped. */
  readonly isAnew: boolean;
  readonly recorder: OutputRecorder;
  readonly replayed: ReplayedRows;
  /** Gets each thread's profile, if the run is profiled. */
  readonly profiles: SharedArrayBuffer[];
}

/**
 * Replays in this thread, or on threads of their own where there is more than one to use. With a
 * state store that outlives the run, a replay that was killed goes on where it stopped.
 */
export async function replayAll(
  run: RunningBacktest,
  input: ReplayInput,
  signal: AbortSignal,
): Promise<readonly TaskCounts[]> {
  const { graph } = input;
  const components = componentsOf(graph);
  const rangeOfRoot = (root: Root): TimeRange => clip(graph, root, input.range);
  const threads = threadsFor(run, components, rangeOfRoot);
  const base = {
    strategy: run.ref ?? { module: "", exportName: "" },
    flags: run.flags,
    ids: idsOf(graph),
    history: run.connectors.refOf("history", run.history),
    state: stateOf(run),
    isSimulated: input.isSimulated,
    outageMsMax: run.settings.outageMsMax,
    isPoisoning: ["development", "test"].includes(process.env["NODE_ENV"] ?? ""),
  };
  const name = `${run.strategy.name}-backtest/0`;
  const shares = dealTasks(components, threads);
  const orders = ordersFor(base, name, shares, rangeOfRoot).map((order): ReplayOrder => {
    if (run.profile !== true) return order;
    const profile = newProfileMemory(graph.nodes.length);
    input.profiles.push(profile);
    return { ...order, profile };
  });
  if (input.isAnew) await dropStates(orders, input, signal);
  const [only] = orders;
  if (orders.length === 1 && only !== undefined) return [await replayHere(only, input, signal)];
  return await runReplayThreads(
    {
      orders,
      onRows: (root, rows) => input.replayed.add(root, rows),
      onOutputs: async (outputs) => await input.recorder.take(outputs, signal),
      onNote: (text) => input.replayed.note(text),
    },
    signal,
  );
}

async function dropStates(
  orders: readonly ReplayOrder[],
  input: ReplayInput,
  signal: AbortSignal,
): Promise<void> {
  const state = await openStateOf(orders[0], input, signal);
  try {
    for (const { task } of orders) await state?.drop(task, signal);
  } finally {
    await state?.close();
  }
}

/** The state store of `order`, if it names one; what is to be said of it goes to the user. */
async function openStateOf(
  order: ReplayOrder | undefined,
  { replayed }: ReplayInput,
  signal: AbortSignal,
): Promise<LastingState | undefined> {
  if (order?.state === undefined) return undefined;
  return await openLastingState(order.state, (text) => replayed.note(text), signal);
}

/** Runs the one order in this thread, on the store that is open. */
async function replayHere(
  order: ReplayOrder,
  input: ReplayInput,
  signal: AbortSignal,
): Promise<TaskCounts> {
  const state = await openStateOf(order, input, signal);
  let storing = Promise.resolve();
  try {
    const counts = await runReplay(
      {
        ...order,
        graph: input.graph,
        store: input.store,
        checkpoints: state === undefined ? undefined : replayCheckpoints(state, order),
        onRows: (root, rows) => input.replayed.add(root, rows),
        onNote: (text) => input.replayed.note(text),
        onOutputs: (outputs) => {
          storing = storing.then(async () => await input.recorder.take(outputs, signal));
          // It may fail while the replay reads on; drain and the end see it.
          storing.catch(() => undefined);
        },
        drain: async () => await storing,
        settle: async () => await storing,
      },
      signal,
    );
    await storing;
    return counts;
  } finally {
    await state?.close();
  }
}

/** As many threads as asked for; else one per core, as long as each has a replay worth its start. */
function threadsFor(
  run: RunningBacktest,
  components: readonly Component[],
  rangeOfRoot: (root: Root) => TimeRange,
): number {
  if (run.ref === undefined) return 1;
  let bars = 0;
  for (const root of components.flatMap(({ roots }) => roots)) {
    const { start, end } = rangeOfRoot(root);
    bars += (end - start) / Interval.of(run.flags.interval).lengthMs;
  }
  const worthwhile = Math.min(availableParallelism(), Math.ceil(bars / barsPerThreadMin));
  return Math.max(1, Math.min(components.length, run.settings.threads ?? worthwhile));
}

function clip(graph: Graph, root: Root, range: TimeRange): TimeRange {
  const interval = graph.nodes[root.node]?.interval;
  return { start: range.start, end: interval?.floor(range.end) ?? range.end };
}

/** Counts replayed rows by stream and key, and shows them. */
export class ReplayedRows {
  readonly #run: RunningBacktest;
  readonly #graph: Graph;
  readonly #range: TimeRange;
  readonly #rows = new Map<string, number>();

  constructor(run: RunningBacktest, graph: Graph, range: TimeRange) {
    this.#run = run;
    this.#graph = graph;
    this.#range = range;
  }

  add({ node, key }: Root, rows: number): void {
    const { nodeId, interval: name } = seriesOf(this.#graph, node, key);
    const done = this.of(nodeId) + rows;
    this.#rows.set(nodeId, done);
    const total = Interval.of(name).countBetween(this.#range.start, this.#range.end);
    this.#run.onProgress({ kind: "replay", label: `${key} ${name}`, done, total });
  }

  note(text: string): void {
    this.#run.onProgress({ kind: "note", text });
  }

  of(nodeId: string): number {
    return this.#rows.get(nodeId) ?? 0;
  }
}
