import { Join, Node, StreamInput, sma, zscore } from "../../../nodes/index.ts";
import { type Upstream } from "../../../nodes/typing.ts";
import { buildGraph } from "../../../runtime/graph/graph.ts";
import { type OutputSink } from "../../../runtime/worker/task/node-output.ts";
import { Task } from "../../../runtime/worker/task/task.ts";
import { bars, keys } from "../../market.ts";
import { loopByHand, threeByHand, zscoreByHand } from "./hand-loops.ts";
import { Collector, makeShareInput, moveOn, type Order, type ShareInput } from "./share-input.ts";

const input = new StreamInput({ symbols: keys, interval: "1m", period: 60, schema: bars });
const average = sma(input, "close", { length: 20 });
const score = zscore(input, "close", { length: 60 });
const loop = new Node({
  name: "loop",
  input,
  lookback: 60,
  schema: { z: "f64" },
  params: { length: 60 },
  compute(window, { length }) {
    const close = window.column("close", length);
    let sum = 0;
    let squares = 0;
    for (let i = 0; i < length; i += 1) {
      const value = close.at(i);
      sum += value;
      squares += value * value;
    }
    const mean = sum / length;
    const deviation = Math.sqrt(Math.max(0, squares / length - mean * mean));
    return { z: deviation > 0 ? (close.last - mean) / deviation : 0 };
  },
});
const signal = new Join({
  name: "signal",
  inputs: { average, score },
  lookback: { average: 5, score: 1 },
  schema: { signal: "f64" },
  params: { above: 2 },
  compute(windows, { above }) {
    const mean = windows.average.column("sma");
    const z = windows.score.value("z");
    return { signal: z > above ? -1 : z < -above && mean.last - mean.first > 0 ? 1 : 0 };
  },
});

/** Two ways to the same outputs, to be gone lap about. */
export interface SharePair {
  readonly rows: number;
  ours(): void | Promise<void>;
  byHand(): void | Promise<void>;
  /** Begins a lap of both; `isHashing`: every bit of the outputs is looked at. */
  begin(isHashing: boolean): void;
  /** True if a lap that was hashed has come to the same both ways. */
  isEqual(): boolean;
  end?(): Promise<void>;
}

const plans = {
  zscore: { nodes: [score], byHand: zscoreByHand },
  loop: { nodes: [loop], byHand: loopByHand },
  three: { nodes: [average, score, signal], byHand: threeByHand },
} as const;

/** A plan of the bench. */
export type PlanName = keyof typeof plans;

/** The nodes of a plan. */
export function nodesOf(plan: PlanName): readonly Upstream[] {
  return plans[plan].nodes;
}

/** A plan over bars in columns, `minutes` of each key. */
export function openPlan(plan: PlanName, order: Order, minutes: number): SharePair {
  const { byHand, nodes } = plans[plan];
  const share = makeShareInput(minutes, order);
  const collectors = [0, 1].map(() => nodes.map(() => new Collector()));
  const hashes = (way: number): string => collectors[way]!.map(({ hash }) => hash).join();
  return {
    rows: share.batch.count,
    ours: throughTask(nodes, share, sinkTo(collectors[0]!)),
    byHand: byHand(share, collectors[1]!),
    begin(isHashing) {
      moveOn(share);
      for (const collector of collectors.flat()) Object.assign(collector, { isHashing, hash: 0 });
    },
    isEqual: () => hashes(0) === hashes(1),
  };
}

/** Hands the outputs of node i of a plan, which has one stream, to collector i. */
export function sinkTo(collectors: readonly Collector[]): OutputSink {
  return ({ index }, { slots, ts, columns, count }) =>
    collectors[index - 1]!.take(slots, ts, columns[0]!, count);
}

function throughTask(
  nodes: readonly Upstream[],
  { batch, ends, key }: ShareInput,
  sink: OutputSink,
): () => void {
  const graph = buildGraph(nodes.map(({ declaration }) => declaration));
  const task = new Task({ graph, owns: () => true, isPoisoning: false, sink });
  const stream = task.streamOf(0);
  return () => {
    let from = 0;
    for (let call = 0; call < ends.length; call += 1) {
      const to = ends[call]!;
      stream.takeColumns(key[from]!, batch, from, to);
      from = to;
    }
    task.flush();
  };
}
