import { expect, test } from "bun:test";
import { Node, StreamInput } from "../../../nodes/index.ts";
import { buildGraph } from "../../../runtime/graph/graph.ts";
import {
  clockCostMs,
  NodeProfile,
  newProfileMemory,
  timedEvery,
} from "../../../runtime/worker/node-profile.ts";
import { chainCode } from "../../../runtime/worker/task/code/chain-code.ts";
import { NodeCall } from "../../../runtime/worker/task/node-call.ts";
import { NodeOutput } from "../../../runtime/worker/task/node-output.ts";
import { Task } from "../../../runtime/worker/task/task.ts";
import { price, rowsOf } from "../../harness/task-run.ts";

const minute = 60_000;

test("one call in timedEvery is timed, every one is counted", () => {
  const profile = new NodeProfile(newProfileMemory(2));
  for (let i = 0; i < 3 * timedEvery; i += 1) {
    profile.count(1);
    profile.end(1, profile.start());
  }
  expect(profile.callsOf(1)).toBe(3 * timedEvery);
  expect(profile.callsOf(0)).toBe(0);
  expect(profile.cells[NodeProfile.at(1) + 1]).toBe(3);
  expect(profile.msPerCallOf(1)).toBeGreaterThanOrEqual(0);
  expect(profile.msPerCallOf(0)).toBeNaN();
});

test("another view of the memory reads the same, phases included", () => {
  const memory = newProfileMemory(1);
  const profile = new NodeProfile(memory);
  profile.count(0);
  profile.since("readMs", performance.now() - 50);
  const reader = new NodeProfile(memory);
  expect(reader.callsOf(0)).toBe(1);
  expect(reader.get("readMs")).toBeGreaterThanOrEqual(50);
  expect(reader.get("waitMs")).toBe(0);
});

test("the clock stands still while outputs are encoded", () => {
  const profile = new NodeProfile(newProfileMemory(1));
  const beforeMs = profile.clock();
  profile.since("encodeMs", performance.now() - 10_000);
  expect(profile.clock() - beforeMs).toBeLessThan(-9_000);
});

test("reading the clock costs less than a microsecond", () => {
  expect(clockCostMs()).toBeLessThan(0.001);
});

const bars = new StreamInput({
  name: "bars",
  symbols: ["A"],
  interval: "1m",
  period: 3,
  schema: price,
});
const light = new Node({
  name: "light",
  input: bars,
  lookback: 3,
  schema: { x: "f64" },
  compute: (window) => ({ x: window.value("close") }),
});
const heavy = new Node({
  name: "heavy",
  input: bars,
  lookback: 1,
  schema: { x: "f64" },
  compute: (window) => {
    let x = window.value("close");
    for (let i = 0; i < 2_000; i += 1) x = (x * 1.000_1 + i) % 1_000;
    return { x };
  },
});
const coarse = new Node({
  name: "coarse",
  input: bars,
  interval: "5m",
  lookback: 1,
  schema: { x: "f64" },
  compute: (window) => ({ x: window.value("close") }),
});

/** Feeds 1,000 bars, and gives calls and outputs by node name. */
function run(nodes: Parameters<typeof buildGraph>[0], isInterpreted: boolean, isProfiled: boolean) {
  const graph = buildGraph(nodes);
  const profile = isProfiled ? new NodeProfile(newProfileMemory(graph.nodes.length)) : undefined;
  const outputs: number[] = [];
  const task = new Task({
    graph,
    owns: () => true,
    sink: (node, { count, ts, columns }) => {
      for (let i = 0; i < count; i += 1) outputs.push(node.index, ts[i]!, columns[0]![i]!);
    },
    isPoisoning: false,
    isInterpreted,
    profile,
  });
  const rows = rowsOf(Array.from({ length: 1_000 }, (_, at) => [at * minute, at]));
  task.streamOf(0).takeColumns(0, rows, 0, rows.count);
  task.advance(2_000 * minute);
  task.flush();
  const indexOf = (name: string) => graph.nodes.findIndex((node) => node.name === name);
  return { outputs, profile, indexOf };
}

test("without a profile the generated text has no trace of one", () => {
  const graph = buildGraph([light.declaration]);
  const [stream, node] = graph.nodes;
  const { store } = new NodeOutput(stream!, 1, undefined);
  const options = { isPoisoning: false, keyOf: () => "A" };
  const output = new NodeOutput(node!, 1, undefined);
  const call = new NodeCall(node!, [{ node: stream!, store }], output, options);
  const chained = [{ call, awaited: [store], isHere: new Uint8Array([1]) }];
  const textOf = (profile?: NodeProfile): string =>
    chainCode(stream!, chained, new Int32Array(2), profile)!.body;
  expect(textOf()).not.toMatch(/cells|now\(|isTimed|left|started/);
  expect(textOf(new NodeProfile(newProfileMemory(2)))).toMatch(/cells\[3\] \+= 1/);
});

test.each([
  ["generated", false],
  ["plain", true],
])(
  "the %s loop counts the calls of each node and emits what it does without a profile",
  (_, isInterpreted) => {
    const nodes = [light.declaration, heavy.declaration];
    const { outputs, profile, indexOf } = run(nodes, isInterpreted, true);
    expect(profile!.callsOf(indexOf("light"))).toBe(998);
    expect(profile!.callsOf(indexOf("heavy"))).toBe(1_000);
    expect(profile!.msPerCallOf(indexOf("heavy"))).toBeGreaterThan(
      profile!.msPerCallOf(indexOf("light")),
    );
    expect(outputs).toEqual(run(nodes, isInterpreted, false).outputs);
  },
);

test("a chain with a coarser interval, which no generated code covers, is counted too", () => {
  const { profile, indexOf } = run([coarse.declaration, light.declaration], false, true);
  expect(profile!.callsOf(indexOf("coarse"))).toBe(200);
  expect(profile!.callsOf(indexOf("light"))).toBe(998);
});
