import { expect, test } from "bun:test";
import { Join, StreamInput } from "../../../../../nodes/index.ts";
import { buildGraph } from "../../../../../runtime/graph/graph.ts";
import { stagedOf } from "../../../../../runtime/graph/stages.ts";
import { ForwardReader } from "../../../../../runtime/worker/live/repartition/forward-reader.ts";
import { StageProgress } from "../../../../../runtime/worker/live/repartition/stage-progress.ts";
import { Task } from "../../../../../runtime/worker/task/task.ts";
import { price } from "../../../../harness/task-run.ts";
import { fetched, fixed, type LogRecord, logBatch } from "../log-bytes.ts";

const minute = 60_000;
const source = 77;

/** A reader of the topic between two streams and their join `K|L`, and what the join emitted. */
function readerOf() {
  const stream = (symbol: string) =>
    new StreamInput({ topic: "in", symbols: [symbol], interval: "1m", period: 2, schema: price });
  const spread = new Join({
    name: "spread",
    inputs: { a: stream("K"), b: stream("L") },
    lookback: 1,
    schema: price,
    compute: ({ a, b }) => ({ close: a.value("close", -1) - b.value("close", -1) }),
  });
  const { graph, stages, forwards } = stagedOf(buildGraph([spread.declaration]));
  const stage = stages.at(-1)!;
  const emitted: string[] = [];
  const task = new Task({
    graph,
    nodes: new Set(stage.nodes),
    owns: () => true,
    isPoisoning: true,
    sink: (_, { count, ts, columns }) => {
      for (let i = 0; i < count; i += 1) emitted.push(`${ts[i]! / minute} ${columns[0]![i]}`);
    },
  });
  const progress = new StageProgress(task, stage.streams);
  const loops = forwards.map(({ to }) => task.streamOf(to));
  const keys = task.keysOf(forwards[0]!.join);
  const reader = new ForwardReader({ partition: 0, source, keys, loops, progress });
  let at = 0;
  const take = (...records: readonly LogRecord[]): readonly string[] => {
    const answer = fetched([logBatch(records, { at })]);
    at += records.length;
    reader.consume(answer);
    progress.advance();
    task.flush();
    return emitted.splice(0);
  };
  return { reader, take };
}

const record = (input: number, at: number, close: number, from = source): LogRecord => ({
  key: "K|L",
  value: fixed("wwwf", [at * minute, from, input, 0, close]),
});
const mark = (input: number, at: number): LogRecord => ({
  key: "K|L",
  value: fixed("ww", [at * minute, source, input]),
});

test("records of both inputs meet at the join's key, in whatever order they come", () => {
  const { take } = readerOf();
  expect(take(record(0, 0, 10), record(0, 1, 20), record(1, 0, 1))).toEqual(["0 9"]);
  expect(take(record(1, 1, 2), record(1, 2, 3), record(0, 2, 30))).toEqual(["1 18", "2 27"]);
});

test("what a source sends again is dropped, also in the middle of new records (D1)", () => {
  const { reader, take } = readerOf();
  expect(take(record(0, 0, 10), record(0, 1, 20), record(1, 0, 1))).toEqual(["0 9"]);
  expect(take(record(0, 0, 10), record(0, 1, 20), record(0, 2, 30))).toEqual([]);
  expect(take(record(1, 0, 1), record(1, 1, 2), record(1, 2, 3))).toEqual(["1 18", "2 27"]);
  const [a, b] = reader.loops.map(({ counts }) => counts);
  expect(a).toEqual({ accepted: 3, duplicate: 1, late: 1 });
  expect(b).toEqual({ accepted: 3, duplicate: 1, late: 0 });
});

test("a mark decides what waited for a bar that does not come", () => {
  const { take } = readerOf();
  take(record(0, 0, 10), record(1, 0, 1));
  // Both bars of minute 2 are there, but b's of minute 1 could still come.
  expect(take(record(0, 2, 30), mark(1, 2))).toEqual([]);
  expect(take(record(1, 2, 3))).toEqual(["2 27"]);
});

test("records of other plans, other keys and no keys are passed over and counted (D2)", () => {
  const { reader, take } = readerOf();
  const value = fixed("wwwf", [0, source, 0, 0, 1]);
  take(
    record(0, 0, 10, 78),
    { key: "M|N", value },
    { key: null, value },
    { key: "K|L", value: null },
    { key: "K|L", value: "no record" },
    record(5, 0, 1),
  );
  expect(reader.counts).toMatchObject({ records: 6, foreign: 6 });
  expect(reader.nextOffset).toBe(6);
});
