import { type HistoryStore, type TimeRange } from "../../contract/history-store.ts";
import { assert } from "../../core/assert.ts";
import { type Component, type Root } from "../../graph/components.ts";
import { type Graph } from "../../graph/graph.ts";
import { type NodeRows, type TaskCounts } from "../protocol.ts";
import { Task } from "../task/task.ts";
import { replay } from "./replay.ts";
import { splitRows } from "./split-rows.ts";

/** One thread's share of a replay. */
export interface ReplayRun {
  readonly graph: Graph;
  readonly store: HistoryStore;
  readonly components: readonly Component[];
  /** Range of each root, in the order of the components' roots. */
  readonly ranges: readonly TimeRange[];
  readonly isPoisoning: boolean;
  readonly onOutputs: (outputs: readonly NodeRows[]) => void;
  readonly onRows: (root: Root, rows: number) => void;
  readonly drain: () => Promise<void>;
}

/** Replays the components in this thread and returns what was counted. */
export async function runReplay(run: ReplayRun, signal: AbortSignal): Promise<TaskCounts> {
  const roots = run.components.flatMap((component) => component.roots);
  const rangeOf = new Map(roots.map((root, i) => [nameOf(root), run.ranges[i]!]));
  const task: Task = new Task({
    graph: run.graph,
    owns: (stream, key) => rangeOf.has(nameOf({ node: stream.index, key })),
    sink: (node, rows) => run.onOutputs(splitRows(node.index, rows, task.keysOf(node.index))),
    isPoisoning: run.isPoisoning,
  });
  const feed = {
    graph: run.graph,
    store: run.store,
    rangeOf: (root: Root): TimeRange => {
      const range = rangeOf.get(nameOf(root));
      assert(range !== undefined, "a replay has a range for each of its roots");
      return range;
    },
    onRows: run.onRows,
    drain: run.drain,
  };
  await replay(task, run.components, feed, signal);
  return task.counts();
}

function nameOf(root: Root): string {
  return `${root.node} ${root.key}`;
}
