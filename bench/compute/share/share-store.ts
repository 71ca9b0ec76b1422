import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openHistory } from "../../../connectors/sqlite/index.ts";
import { componentsOf } from "../../../runtime/graph/components.ts";
import { buildGraph, type Graph } from "../../../runtime/graph/graph.ts";
import { type HistoryStore, sliceColumns, type TimeRange } from "../../../runtime/index.ts";
import { replay, seriesOf } from "../../../runtime/worker/replay/replay.ts";
import { Task } from "../../../runtime/worker/task/task.ts";
import { Collector, makeShareInput } from "./share-input.ts";
import { nodesOf, type SharePair, sinkTo } from "./share-plans.ts";

const minuteMs = 60_000;
const { signal } = new AbortController();

/**
 * The z-score over bars that lie in the embedded store's file, nothing recorded, beside reading all
 * columns of the file.
 */
export async function openStorePair(minutes: number): Promise<SharePair> {
  const directory = mkdtempSync(join(tmpdir(), "qmtl-bench-"));
  const options = { mode: "write", isSimulated: false } as const;
  const store = await openHistory(`sqlite:${join(directory, "bars.db")}`, options, signal);
  const graph = buildGraph(nodesOf("zscore").map(({ declaration }) => declaration));
  const { range, rows } = await fill(store, graph, minutes);
  const collector = new Collector();
  const { keys } = graph.nodes[0]!;
  let read = 0;
  return {
    rows,
    async ours() {
      // A task of its own each time: a replay begins with empty windows.
      const task = new Task({
        graph,
        owns: () => true,
        isPoisoning: false,
        sink: sinkTo([collector]),
      });
      const feed = {
        graph,
        store,
        rangeOf: () => range,
        onRows: () => undefined,
        drain: async () => undefined,
      };
      await replay(task, componentsOf(graph), feed, signal);
    },
    async byHand() {
      read = 0;
      for (const { key } of keys) {
        for await (const batch of store.fetch(seriesOf(graph, 0, key), range, signal)) {
          read += batch.count;
        }
      }
    },
    begin: () => undefined,
    isEqual: () => read === rows && collector.hash !== 0,
    async end() {
      await store.close();
      rmSync(directory, { recursive: true });
    },
  };
}

async function fill(
  store: HistoryStore,
  graph: Graph,
  minutes: number,
): Promise<{ readonly range: TimeRange; readonly rows: number }> {
  const { batch } = makeShareInput(minutes, "keys");
  const range = { start: batch.ts[0]!, end: batch.ts[minutes - 1]! + minuteMs };
  for (const [i, { key }] of graph.nodes[0]!.keys.entries()) {
    const rows = sliceColumns(batch, i * minutes, (i + 1) * minutes);
    const page = { rows, have: [range], empty: [] };
    await store.persist(seriesOf(graph, 0, key), page, signal);
  }
  return { range, rows: batch.count };
}
