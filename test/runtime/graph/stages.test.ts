import { expect, test } from "bun:test";
import { Join, Node, StreamInput } from "../../../nodes/index.ts";
import { type Upstream } from "../../../nodes/typing.ts";
import { buildGraph } from "../../../runtime/graph/graph.ts";
import { repartitionTopic, stagedOf } from "../../../runtime/graph/stages.ts";
import { price } from "../../harness/task-run.ts";

const stream = (topic: string, symbols: readonly string[] | "*") =>
  new StreamInput({
    name: topic,
    topic,
    symbols,
    maxKeys: 8,
    interval: "1m",
    period: 2,
    schema: price,
  });

const joined = (name: string, inputs: Record<string, ReturnType<typeof stream>>) =>
  new Join({ name, inputs, schema: price, compute: () => ({ close: 1 }) });

const behind = (name: string, input: ReturnType<typeof joined>) =>
  new Node({
    name,
    input,
    schema: price,
    compute: (window) => ({ close: window.value("close", -1) }),
  });

/** Stages as text: depth and the names of their nodes. */
function stagesOf(...nodes: readonly Upstream[]) {
  const staged = stagedOf(buildGraph(nodes.map(({ declaration }) => declaration)));
  const named = staged.stages.map(({ depth, nodes: own }) => {
    return `${depth}: ${own.map((index) => staged.graph.nodes[index]!.name).join(" ")}`;
  });
  return { staged, named };
}

test("streams that nothing joins are stages of their own, and the graph stays as it is (S3)", () => {
  const [a, b] = [stream("a", "*"), stream("b", ["K"])];
  const graph = buildGraph([a.declaration, b.declaration]);
  expect(stagedOf(graph).graph).toEqual(graph);
  expect(stagesOf(a, b).named).toEqual(["0: a", "0: b"]);
});

test("a join of equal keys stays with its inputs (S1)", () => {
  const sum = joined("sum", { a: stream("a", ["K", "L"]), b: stream("b", ["K", "L"]) });
  const { named, staged } = stagesOf(behind("mean", sum));
  expect(named).toEqual(["0: a b sum mean"]);
  expect(staged.forwards).toEqual([]);
});

test("inputs of other keys are forwarded to the join's own, and what reads it stays with it (S2)", () => {
  const spread = joined("spread", { a: stream("a", ["K"]), b: stream("b", ["L"]) });
  const { named, staged } = stagesOf(behind("mean", spread));
  expect(named).toEqual(["0: a", "0: b", "1: spread.a spread.b spread mean"]);
  expect(staged.forwards).toEqual([
    { join: 4, input: 0, from: 0, to: 2, keys: [{ from: "K", to: "K|L" }] },
    { join: 4, input: 1, from: 1, to: 3, keys: [{ from: "L", to: "K|L" }] },
  ]);
  const { keys, inputs } = staged.graph.nodes[4]!;
  expect(keys.map(({ key, inputKeys }) => [key, ...inputKeys])).toEqual([["K|L", "K|L", "K|L"]]);
  expect(inputs.map(({ from }) => from)).toEqual([2, 3]);
  expect(repartitionTopic(staged.graph.nodes[4]!)).toMatch(/^qmtl\.repartition\.[0-9a-f]{32}$/);
});

test("one key may be forwarded to many", () => {
  const spread = joined("spread", { a: stream("a", ["K"]), b: stream("b", ["K", "L", "M"]) });
  const { staged } = stagesOf(spread);
  expect(staged.forwards[0]!.keys).toEqual([
    { from: "K", to: "K" },
    { from: "K", to: "K|L" },
    { from: "K", to: "K|M" },
  ]);
});

test("a join behind a join is a stage further on, with all its inputs", () => {
  const spread = joined("spread", { a: stream("a", ["K"]), b: stream("b", ["L"]) });
  const share = new Join({
    name: "share",
    inputs: { c: stream("c", ["M"]), spread },
    schema: price,
    compute: () => ({ close: 1 }),
  });
  const { named } = stagesOf(share);
  expect(named.toSorted()).toEqual([
    "0: a",
    "0: b",
    "0: c",
    "1: spread.a spread.b spread",
    "2: share.c share.spread share",
  ]);
  expect(named.at(-1)).toStartWith("2");
});

test("a join over any keys is refused by name: where its keys meet is not known", () => {
  const sum = joined("sum", { a: stream("a", "*"), b: stream("b", "*") });
  expect(() => stagesOf(sum)).toThrow('"sum" joins streams of which one takes any key');
});
