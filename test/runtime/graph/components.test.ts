import { expect, test } from "bun:test";
import { Join, Node, StreamInput } from "../../../nodes/index.ts";
import { componentsOf, dealTasks, waitingNodes } from "../../../runtime/graph/components.ts";
import { buildGraph } from "../../../runtime/graph/graph.ts";
import { price } from "../../harness/task-run.ts";

const all = new StreamInput({
  symbols: ["A", "B", "C", "D"],
  interval: "1m",
  period: 1,
  schema: price,
});
const a = new StreamInput({ symbol: "A", interval: "1m", period: 1, schema: price });
const c = new StreamInput({ symbol: "C", interval: "1m", period: 1, schema: price });
const spread = new Join({
  name: "spread",
  inputs: { a, c },
  schema: { x: "f64" },
  compute: ({ a, c }) => ({ x: a.value("close") - c.value("close") }),
});
const after = new Node({
  name: "after",
  input: spread,
  schema: { y: "f64" },
  compute: (w) => ({ y: w.value("x") }),
});
const each = new Node({
  name: "each",
  input: all,
  schema: { z: "f64" },
  compute: (w) => ({ z: w.value("close") }),
});
const graph = buildGraph([all, after, each].map(({ declaration }) => declaration));

test("keys that a join brings together are one component, all others stand alone", () => {
  const components = componentsOf(graph);
  const named = components.map(({ roots, hasJoins }) => [roots.map(({ key }) => key), hasJoins]);
  expect(named).toEqual([
    [["A", "C"], true],
    [["B"], false],
    [["D"], false],
  ]);
});

test("nodes on several roots wait, and so does what reads from them; others run at once", () => {
  const waiting = [...waitingNodes(graph)].map((index) => graph.nodes[index]?.name);
  expect(waiting).toEqual(["spread", "after"]);
});

test("dealing gives every component to one task, as evenly as can be", () => {
  const components = componentsOf(graph);
  const deals = dealTasks(components, 2);
  expect(deals.map((deal) => deal.length)).toEqual([2, 1]);
  expect(new Set(deals.flat())).toEqual(new Set(components));
  expect(dealTasks(components, 9)).toHaveLength(3);
});
