import { expect, test } from "bun:test";
import { openHistory } from "../../../../connectors/memory/index.ts";
import { kline, StreamInput, sma } from "../../../../nodes/index.ts";
import { OutputRecorder } from "../../../../runtime/engine/backtest/output-recorder.ts";
import { buildGraph } from "../../../../runtime/graph/graph.ts";
import { OutputTally } from "../../../../runtime/worker/replay/output-tally.ts";
import { seriesOf } from "../../../../runtime/worker/replay/replay.ts";
import { rowsOf } from "../../../harness/task-run.ts";

const signal = AbortSignal.timeout(10_000);
const minute = 60_000;

test("outputs are stored under their node, covered from the first one to the range's end", async () => {
  const symbols = ["AAUSDT", "BBUSDT"];
  const bars = new StreamInput({ symbols, interval: "1m", period: 2, schema: kline });
  const graph = buildGraph([sma(bars, "close", { length: 2, name: "mean" }).declaration]);
  const store = await openHistory("memory:", { mode: "write", isSimulated: false }, signal);
  const recorder = new OutputRecorder(graph, store);
  const node = graph.nodes.findIndex(({ name }) => name === "mean");
  const tally = new OutputTally();
  for (const rows of [
    rowsOf([
      [minute, 1.5],
      [2 * minute, 2.5],
    ]),
    rowsOf([[4 * minute, 4.5]]),
  ]) {
    const outputs = [{ node, key: "AAUSDT", rows }];
    tally.add(outputs);
    await recorder.take(outputs, signal);
  }
  await recorder.finish(tally.list(), { start: 0, end: 6.5 * minute }, signal);
  const stored = await store.coverage(seriesOf(graph, node, "AAUSDT"), signal);
  expect(stored).toEqual({ have: [{ start: minute, end: 6 * minute }], empty: [] });
  const none = await store.coverage(seriesOf(graph, node, "BBUSDT"), signal);
  expect(none).toEqual({ have: [], empty: [] });
  expect(recorder.reports().map(({ key, outputs, last }) => [key, outputs, last])).toEqual([
    ["AAUSDT", 3, { ts: 4 * minute, values: { sma: 4.5 } }],
    ["BBUSDT", 0, null],
  ]);
});
