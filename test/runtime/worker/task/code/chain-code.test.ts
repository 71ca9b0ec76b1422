/**
 * Goal: the generated loop does what the plain one does. Method: the same random graphs and bars
 * through both; every output is compared, to the bit.
 */
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { Join, Node, Operator, StreamInput, sma, zscore } from "../../../../../nodes/index.ts";
import { price, TaskRun } from "../../../../harness/task-run.ts";

const m = 60_000;
const bars = new StreamInput({
  name: "bars",
  symbols: ["A", "B"],
  interval: "1m",
  period: 3,
  schema: price,
});
const onlyA = new StreamInput({ symbol: "A", interval: "1m", period: 1, schema: price });
const mean = sma(bars, "close", { length: 3 });
const z = zscore(bars, "close", { length: 4 });
const both = new Join({
  name: "both",
  inputs: { mean, z },
  schema: { x: "f64", up: "bool" },
  compute: ({ mean, z }, _params, { time }) =>
    time % 7 === 0
      ? undefined
      : { x: mean.value("sma") / z.value("z"), up: z.value("z") > 0 ? 1 : 0 },
});
const count = new Operator({
  name: "count",
  input: both,
  schema: { n: "u32", close: "f64" },
  state: 1,
  step(window, _params, state, out) {
    state[0] = Number.isNaN(state[0]) ? 1 : state[0]! + 1;
    out.n = state[0];
    out.close = window.value("x");
    return state[0] % 3 !== 0;
  },
});
const holding = new Join({
  name: "holding",
  inputs: { count, z },
  onMissing: "last",
  schema: { x: "f64" },
  compute: ({ count: counted, z: score }, _params, { time }) => ({
    x: counted.value("n") + score.value("z") + time,
  }),
});
const beside = new Join({
  name: "beside",
  inputs: { count, bars },
  lookback: { bars: 2 },
  onMissing: "last",
  schema: { x: "f64" },
  compute: ({ count: counted, bars: all }) => ({
    x: counted.value("close") - all.value("close", -2),
  }),
});
const half = new Node({
  name: "half",
  input: onlyA,
  schema: { h: "f64" },
  compute: (w) => ({ h: w.value("close") / 2 }),
});

const history = fc.array(
  fc.record({
    key: fc.constantFrom("A", "B"),
    skip: fc.integer({ min: 0, max: 3 }),
    close: fc.oneof(fc.integer({ min: -5, max: 5 }), fc.double({ noDefaultInfinity: true })),
  }),
  { maxLength: 80 },
);

test("generated and plain loop emit the same records in the same order per node", () => {
  fc.assert(
    fc.property(history, fc.boolean(), (steps, isPoisoning) => {
      const nodes = [count, half, holding, beside];
      const generated = new TaskRun(nodes, { isPoisoning });
      const plain = new TaskRun(nodes, { isPoisoning, isInterpreted: true });
      const at = { A: 0, B: 0 };
      for (const { key, skip, close } of steps) {
        at[key] += skip * m;
        for (const run of [generated, plain]) run.feed("bars", key, [at[key], close]);
      }
      expect(generated.take()).toEqual(plain.take() as never);
      expect(generated.task.counts()).toEqual(plain.task.counts());
    }),
    { numRuns: 200 },
  );
});

test("an error in generated code names node, key and time as in the plain loop", () => {
  const thrower = new Node({
    name: "thrower",
    input: bars,
    lookback: 1,
    schema: { x: "f64" },
    compute: (w) => {
      if (w.value("close") > 1) throw new Error("too high");
      return { x: 1 };
    },
  });
  for (const isInterpreted of [true, false]) {
    const run = new TaskRun([thrower], { isInterpreted });
    expect(() => run.feed("bars", "B", [0, 1], [m, 2])).toThrow(
      'Cannot compute "thrower" for B at 1970-01-01T00:02:00.000Z: too high',
    );
  }
});
