import { type Upstream } from "../../nodes/typing.ts";
import { buildGraph } from "../../runtime/graph/graph.ts";
import { type CheckpointPart } from "../../runtime/worker/checkpoint/parts.ts";
import { type OutputSink } from "../../runtime/worker/task/node-output.ts";
import { type StreamLoop } from "../../runtime/worker/task/stream-loop.ts";
import { Task } from "../../runtime/worker/task/task.ts";
import { keyCount, type Market } from "../market.ts";

/** Runs a market through a task, lap after lap, as a decoder would hand it over. */
export class TaskFeed {
  readonly loop: StreamLoop;
  readonly #task: Task;
  readonly #market: Market;

  constructor(nodes: readonly Upstream[], market: Market, sink?: OutputSink) {
    const graph = buildGraph(nodes.map(({ declaration }) => declaration));
    this.#task = new Task({
      graph,
      owns: () => true,
      isPoisoning: false,
      sink: sink ?? (() => undefined),
    });
    const stream = graph.nodes.find(({ kind }) => kind === "stream");
    this.loop = this.#task.streamOf(stream?.index ?? -1);
    // Times of its own: laps move them on.
    const { batch, lapMs } = market;
    this.#market = { batch: { ...batch, ts: batch.ts.slice() }, lapMs };
    this.lap(() => undefined);
  }

  /** The task's state, for a checkpoint of its own. */
  parts(): readonly CheckpointPart[] {
    return this.#task.parts();
  }

  /** All bars once, in the order of time; the times move on by a lap. */
  lap(after: (key: number) => void): void {
    const { batch, lapMs } = this.#market;
    const { loop } = this;
    for (let i = 0; i < batch.count; i += 1) {
      loop.takeColumns(i % keyCount, batch, i, i + 1);
      after(i % keyCount);
    }
    this.#task.flush();
    for (let i = 0; i < batch.count; i += 1) batch.ts[i]! += lapMs;
  }
}
