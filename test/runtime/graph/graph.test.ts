import { expect, test } from "bun:test";
import { Join, kline, Node, StreamInput, zscore } from "../../../nodes/index.ts";
import { type Upstream } from "../../../nodes/typing.ts";
import { buildGraph, type Graph } from "../../../runtime/graph/graph.ts";
import { price } from "../../harness/task-run.ts";

const stream = (options: object = {}) =>
  new StreamInput({ symbol: "A", interval: "1m", period: 10, schema: price, ...options });
const graphOf = (...nodes: readonly Upstream[]): Graph =>
  buildGraph(nodes.map(({ declaration }) => declaration));
const last = (w: { value(field: "close"): number }) => ({ x: w.value("close") });
const node = (input: ReturnType<typeof stream>, options: object = {}) =>
  new Node({ input, schema: { x: "f64" }, compute: last, ...options });
const idOf = (upstream: Upstream): string => graphOf(upstream).nodes.at(-1)?.definitionId ?? "";

test("name, tags, period and symbols are not part of a definition", () => {
  const plain = idOf(stream());
  expect(idOf(stream({ name: "n", tags: ["t"], period: 99, symbol: "B" }))).toBe(plain);
  expect(idOf(node(stream(), { lookback: 1 }))).toBe(
    idOf(node(stream({ period: 3 }), { lookback: 1, name: "other", tags: ["x"], publish: true })),
  );
});

test("interval, schema, source, params, lookback and upstream are part of a definition", () => {
  const ids = [
    idOf(stream()),
    idOf(stream({ interval: "5m" })),
    idOf(stream({ schema: kline })),
    idOf(stream({ topic: "t" })),
    idOf(stream({ market: "futures" })),
    idOf(node(stream())),
    idOf(node(stream(), { lookback: 2 })),
    idOf(node(stream(), { params: { a: 1 } })),
    idOf(node(stream(), { params: { a: 2 } })),
    idOf(node(stream(), { interval: "5m" })),
    idOf(node(stream({ interval: "5m" }))),
    idOf(node(stream(), { schema: { x: "u32" } })),
  ];
  expect(new Set(ids).size).toBe(ids.length);
});

test("defaults are resolved before hashing", () => {
  // The default lookback of a stream input is its period.
  expect(idOf(node(stream({ period: 7 })))).toBe(idOf(node(stream(), { lookback: 7 })));
  expect(idOf(node(stream(), { interval: 60 }))).toBe(idOf(node(stream())));
});

test("k symbols are one definition with k node IDs", () => {
  const { nodes } = graphOf(stream({ symbol: undefined, symbols: ["A", "B", "C"] }));
  expect(nodes).toHaveLength(1);
  const ids = nodes[0]?.keys.map(({ nodeId }) => nodeId) ?? [];
  expect(new Set(ids).size).toBe(3);
  for (const id of ids) expect(id).toMatch(/^[0-9a-f]{32}$/);
});

test("equal definitions are computed once: keys unite, the period is the longest", () => {
  const graph = graphOf(stream({ period: 5 }), stream({ symbol: "B", period: 9 }), stream());
  expect(graph.nodes.map(({ keys, period }) => [keys.map(({ key }) => key), period])).toEqual([
    [["A", "B"], 10],
  ]);
});

test("a lookback above a stream's period raises the period", () => {
  const { nodes } = graphOf(zscore(stream({ period: 3 }), "close", { length: 60 }));
  expect(nodes[0]?.period).toBe(60);
});

test("the order of record inputs does not matter, that of list inputs does", () => {
  const a = stream();
  const b = stream({ symbol: "B" });
  const make = (inputs: object) =>
    idOf(
      new Join({
        inputs: inputs as { a: typeof a; b: typeof b },
        lookback: 1,
        schema: { x: "f64" },
        compute: ({ a, b }) => ({ x: a.value("close") - b.value("close") }),
      }),
    );
  expect(make({ a, b: stream({ interval: "5m" }) })).toBe(
    make({ b: stream({ interval: "5m" }), a }),
  );
  const list = (inputs: readonly [typeof a, typeof a]) =>
    idOf(new Join({ inputs, lookback: 1, schema: { x: "f64" }, compute: () => ({ x: 1 }) }));
  const five = stream({ interval: "5m" });
  expect(list([a, five])).not.toBe(list([five, a]));
});

test("a node's interval must be a multiple of its finest input's", () => {
  expect(() => graphOf(node(stream({ interval: "5m" }), { name: "n", interval: "1m" }))).toThrow(
    'Cannot give "n" the interval 1m: its finest input has 5m, wanted a multiple of that',
  );
  expect(() => graphOf(node(stream({ interval: "3d" }), { interval: "1w" }))).toThrow("1w");
});

test("a graph without nodes is refused", () => {
  expect(() => buildGraph([])).toThrow("it has no nodes");
});

test("a definition can't be published to two topics", () => {
  const input = stream();
  expect(() =>
    graphOf(node(input, { publish: { topic: "a" } }), node(input, { publish: { topic: "b" } })),
  ).toThrow('found "a" and "b", wanted one');
  const both = graphOf(node(input, { publish: true }), node(input, { publish: { topic: "b" } }));
  expect(both.nodes.at(-1)?.publish).toEqual({ topic: "b" });
});
