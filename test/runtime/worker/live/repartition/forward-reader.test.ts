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
function readerOf(pendingMax = 1_000) {
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
  const [join] = task.gates;
  const reader = new ForwardReader({
    partition: 0,
    source,
    keys,
    loops,
    progress,
    join: join!,
    pendingMax,
  });
  const log: LogRecord[] = [];
  /** Reads the log on from where the reader is, and gives what the join emitted. */
  const readOn = (): readonly string[] => {
    const at = reader.nextOffset;
    reader.consume(fetched([logBatch(log.slice(at), { at })]));
    progress.advance();
    task.flush();
    return emitted.splice(0);
  };
  const take = (...records: readonly LogRecord[]): readonly string[] => {
    log.push(...records);
    return readOn();
  };
  const held = (): number => Math.max(join!.gate.pendingOf(0, 0), join!.gate.pendingOf(1, 0));
  return { reader, take, readOn, held };
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

test("more bars than may wait are left out, and taken when there is room again (D3)", () => {
  const { reader, take, readOn, held } = readerOf(4);
  const a = Array.from({ length: 10 }, (_, at) => record(0, at, 10 * at));
  expect(take(...a)).toEqual([]);
  expect(held()).toBe(4);
  expect(reader.nextOffset).toBe(10);
  // A restart begins at the first that was left out.
  expect(reader.restartOffset).toBe(4);
  expect(reader.waiting).toEqual({ held: 1, join: 3, input: 1, slot: 0 });
  expect(take(record(1, 0, 1))).toEqual(["0 -1"]);
  expect(reader.rewind()).toBe(false);
  expect(take(record(1, 1, 1))).toEqual(["1 9"]);
  expect(reader.rewind()).toBe(true);
  expect(reader.nextOffset).toBe(4);
  // What lies behind is met again and dropped, but for what was left out.
  expect(readOn()).toEqual([]);
  expect(held()).toBe(4);
  expect(reader.restartOffset).toBe(6);
  const rest = Array.from({ length: 8 }, (_, i) => record(1, i + 2, 1));
  const found = [...take(...rest)];
  while (reader.rewind()) found.push(...readOn());
  expect(found).toEqual(["2 19", "3 29", "4 39", "5 49", "6 59", "7 69", "8 79", "9 89"]);
  expect(reader.waiting).toBeUndefined();
  expect(reader.restartOffset).toBe(reader.nextOffset);
});

test("a mark behind bars that were left out waits with them (D3)", () => {
  const { reader, take, readOn } = readerOf(2);
  expect(take(record(0, 0, 1), record(0, 1, 2), record(0, 2, 3), mark(0, 9))).toEqual([]);
  // Bars of b up to minute 8: b's own are full too, so both go on by turns.
  const b = Array.from({ length: 9 }, (_, at) => record(1, at, 1));
  const found = [...take(...b)];
  while (reader.rewind()) found.push(...readOn());
  expect(found).toEqual(["0 0", "1 1", "2 2"]);
});
