import { expect, test } from "bun:test";
import { Join, kline, Node, Operator, StreamInput, type Upstream } from "../../nodes/index.ts";

const options = { interval: "1m", period: 5, schema: kline } as const;
const bars = new StreamInput({ ...options, symbol: "BTCUSDT", name: "bars" });
const others = new StreamInput({ ...options, symbol: "ETHUSDT", name: "others" });
const schema = { x: "f64" } as const;

test("a node declares what it reads, how far back, and what it puts out", () => {
  const node = new Node({
    name: "first",
    input: bars,
    interval: "5m",
    lookback: 3,
    schema,
    params: { n: 2 },
    tags: ["b", "a"],
    publish: { topic: "out" },
    compute: (window) => ({ x: window.value("close") }),
  });
  const { inputs, run, ...rest } = node.declaration;
  expect(rest).toEqual({
    kind: "node",
    name: "first",
    tags: ["a", "b"],
    schema,
    publish: { topic: "out" },
    form: "single",
    interval: "5m",
    params: { n: 2 },
    onMissing: "skip",
    stateFloats: 0,
  });
  expect(inputs).toEqual([{ name: "0", from: bars.declaration, lookback: 3 }]);
  expect(run).toBeFunction();
});

test("a join's inputs have names, or places in a list; a lookback is for all or for each", () => {
  const compute = () => ({ x: 1 });
  const named = new Join({ inputs: { bars, others }, lookback: { bars: 4 }, schema, compute });
  expect(named.declaration.form).toBe("record");
  expect(named.declaration.inputs.map(({ name, lookback }) => [name, lookback])).toEqual([
    ["bars", 4],
    ["others", undefined],
  ]);
  const listed = new Join({
    inputs: [bars, others],
    lookback: 2,
    schema,
    compute,
    onMissing: "last",
  });
  expect(listed.declaration).toMatchObject({ form: "list", onMissing: "last" });
  expect(listed.declaration.inputs.map(({ name, lookback }) => [name, lookback])).toEqual([
    ["0", 2],
    ["1", 2],
  ]);
});

test("an operator says how many floats of state a key has", () => {
  const step = () => true;
  const declare = (more: object) =>
    new Operator({ input: bars, schema, step, ...more }).declaration;
  expect(declare({ state: 3 })).toMatchObject({ kind: "operator", stateFloats: 3 });
  expect(declare({}).stateFloats).toBe(0);
});

test("an input or a function that is missing is refused by the node's name", () => {
  const nothing = undefined as unknown as Upstream<typeof kline>;
  const compute = () => ({ x: 1 });
  expect(() => new Node({ name: "n", input: nothing, schema, compute })).toThrow(
    'Cannot make node "n": input "0" is missing, wanted a stream or node',
  );
  const number = 5 as unknown as Upstream<typeof kline>;
  expect(() => new Join({ inputs: { number }, schema, compute })).toThrow(
    'Cannot make join "unnamed": input "number" is not a node',
  );
  const none = undefined as unknown as typeof compute;
  expect(() => new Node({ name: "n", input: bars, schema, compute: none })).toThrow(
    "it has no function, wanted compute or step",
  );
});
