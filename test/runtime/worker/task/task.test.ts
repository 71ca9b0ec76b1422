/**
 * Goal: the meaning of time, windows and identity (DESIGN §5) by bars a reader can check by eye.
 * Method: bars of one field go in, outputs come out; no store, no thread.
 */
import { expect, test } from "bun:test";
import { Join, Node, Operator, StreamInput } from "../../../../nodes/index.ts";
import { price, TaskRun } from "../../../harness/task-run.ts";

const m = 60_000;
const stream = (name: string, interval: string, symbols: string[], options: object = {}) =>
  new StreamInput({ name, symbols, interval, period: 1, schema: price, ...options });

test("a node runs on each bar once its lookback is there, and sees that many bars (P2)", () => {
  const bars = stream("bars", "1m", ["A"]);
  const sum = new Node({
    name: "sum",
    input: bars,
    lookback: 3,
    schema: { sum: "f64", n: "f64" },
    compute: (w) => ({ sum: w.column("close").sum(), n: w.length }),
  });
  const run = new TaskRun([sum]);
  run.feed("bars", "A", [0, 1], [m, 2], [2 * m, 3], [3 * m, 4]);
  expect(run.take()).toEqual([
    ["sum", "A", 2 * m, 6, 3],
    ["sum", "A", 3 * m, 9, 3],
  ]);
});

test("returning nothing emits nothing; keys do not mix", () => {
  const bars = stream("bars", "1m", ["A", "B"]);
  const even = new Node({
    name: "even",
    input: bars,
    schema: { x: "f64" },
    compute: (w) => (w.value("close") % 2 === 0 ? { x: w.value("close") } : undefined),
  });
  const run = new TaskRun([even]);
  run.feed("bars", "A", [0, 1], [m, 2]).feed("bars", "B", [0, 4], [m, 5]);
  expect(run.take()).toEqual([
    ["even", "A", m, 2],
    ["even", "B", 0, 4],
  ]);
});

test("a 5m input joins a 1m node only after it has closed", () => {
  const fine = stream("fine", "1m", ["A"]);
  const coarse = stream("coarse", "5m", ["A"]);
  const both = new Join({
    name: "both",
    inputs: { fine, coarse },
    schema: { fine: "f64", coarse: "f64" },
    compute: ({ fine, coarse }) => ({ fine: fine.value("close"), coarse: coarse.value("close") }),
  });
  const run = new TaskRun([both]);
  // The 5m bar that opens at 0 closes at 5m: the 1m bar that closes with it may see it.
  run.feed("coarse", "A", [0, 100], [5 * m, 200]);
  for (let i = 0; i < 11; i += 1) run.feed("fine", "A", [i * m, i]);
  run.advance(11 * m);
  expect(run.take()).toEqual([
    ["both", "A", 4 * m, 4, 100],
    ["both", "A", 5 * m, 5, 100],
    ["both", "A", 6 * m, 6, 100],
    ["both", "A", 7 * m, 7, 100],
    ["both", "A", 8 * m, 8, 100],
    ["both", "A", 9 * m, 9, 200],
    ["both", "A", 10 * m, 10, 200],
  ]);
});

test("a node of a coarser interval runs when its interval closes, or is shown to be over (K2)", () => {
  const bars = stream("bars", "1m", ["A"]);
  const five = new Node({
    name: "five",
    input: bars,
    interval: "5m",
    lookback: 1,
    schema: { last: "f64" },
    compute: (w) => ({ last: w.value("close") }),
  });
  const run = new TaskRun([five]);
  run.feed("bars", "A", [3 * m, 3]);
  expect(run.take()).toEqual([]);
  run.feed("bars", "A", [4 * m, 4]);
  expect(run.take()).toEqual([["five", "A", 0, 4]]);
  // The bars of 7m to 9m are missing: the bar of 12m shows that 5m to 10m is over, and is not seen.
  run.feed("bars", "A", [6 * m, 6], [12 * m, 12]);
  expect(run.take()).toEqual([["five", "A", 5 * m, 6]]);
  run.advance(15 * m);
  expect(run.take()).toEqual([["five", "A", 10 * m, 12]]);
});

test("different symbols are joined by close time, whatever order they arrive in (G1)", () => {
  const make = () => {
    const a = stream("a", "1m", ["A"]);
    const b = stream("b", "1m", ["B"]);
    const spread = new Join({
      name: "spread",
      inputs: { a, b },
      schema: { d: "f64", time: "f64", keyLength: "f64" },
      compute: ({ a, b }, _p, { key, time }) => ({
        d: a.value("close") - b.value("close"),
        time,
        keyLength: key.length,
      }),
    });
    return new TaskRun([spread]);
  };
  const expected = [
    ["spread", "A|B", 0, 9, m, 3],
    ["spread", "A|B", 2 * m, 27, 3 * m, 3],
  ];
  const aFirst = make();
  // B has no bar at 1m: skip (default).
  aFirst.feed("a", "A", [0, 10], [m, 20], [2 * m, 30]);
  aFirst.feed("a", "B", [0, 1], [2 * m, 3]);
  expect(aFirst.advance(3 * m).take()).toEqual(expected as never);
  const bFirst = make();
  bFirst.feed("a", "B", [0, 1]).feed("a", "A", [0, 10]).advance(m);
  bFirst.feed("a", "B", [2 * m, 3]).advance(2 * m);
  bFirst.feed("a", "A", [m, 20], [2 * m, 30]);
  expect(bFirst.advance(3 * m).take()).toEqual(expected as never);
});

test("onMissing last reads the window as it is, fail is a named error", () => {
  const make = (onMissing: "last" | "fail") => {
    const all = stream("all", "1m", ["A", "B"]);
    const a = stream("a", "1m", ["A"]);
    const b = stream("b", "1m", ["B"]);
    return new TaskRun([
      all,
      new Join({
        name: "j",
        inputs: { a, b },
        onMissing,
        schema: { a: "f64", b: "f64" },
        compute: ({ a, b }) => ({ a: a.value("close"), b: b.value("close") }),
      }),
    ]);
  };
  const last = make("last");
  last
    .feed("all", "A", [0, 10], [m, 20])
    .feed("all", "B", [0, 1])
    .advance(2 * m);
  expect(last.take()).toEqual([
    ["j", "A|B", 0, 10, 1],
    ["j", "A|B", m, 20, 1],
  ]);
  const fail = make("fail");
  fail.feed("all", "A", [0, 10]);
  expect(() => fail.advance(m)).toThrow(
    'Cannot run "j" for A|B at 1970-01-01T00:00:00.000Z: input "b" has no bar there, wanted one (onMissing: fail)',
  );
});

test("unequal warm-ups: a join waits for the slower input", () => {
  const bars = stream("bars", "1m", ["A"]);
  const slow = new Node({
    name: "slow",
    input: bars,
    lookback: 3,
    schema: { s: "f64" },
    compute: (w) => ({ s: w.column("close").sum() }),
  });
  const both = new Join({
    name: "both",
    inputs: { bars, slow },
    lookback: { bars: 2 },
    schema: { x: "f64" },
    compute: ({ bars, slow }) => ({ x: slow.value("s") * 100 + bars.column("close").sum() }),
  });
  const run = new TaskRun([slow, both]);
  run.feed("bars", "A", [0, 1], [m, 2], [2 * m, 3], [3 * m, 4]);
  expect(run.take()).toEqual([
    ["slow", "A", 2 * m, 6],
    ["slow", "A", 3 * m, 9],
    ["both", "A", 2 * m, 605],
    ["both", "A", 3 * m, 907],
  ]);
});

test("a late bar is dropped and counted, a repeated one counted apart (P1)", () => {
  const bars = stream("bars", "1m", ["A"]);
  const id = new Node({
    name: "id",
    input: bars,
    schema: { x: "f64" },
    compute: (w) => ({ x: w.value("close") }),
  });
  const run = new TaskRun([id]);
  run.feed("bars", "A", [m, 1], [m, 9], [0, 9], [2 * m, 2]);
  expect(run.take()).toEqual([
    ["id", "A", m, 1],
    ["id", "A", 2 * m, 2],
  ]);
  expect(run.task.counts().streams[0]?.counts).toEqual({ accepted: 2, late: 1, duplicate: 1 });
});

test("onLate insert puts a late bar into the window and emits nothing for it", () => {
  const bars = stream("bars", "1m", ["A"], { period: 3, onLate: "insert" });
  const list = new Node({
    name: "list",
    input: bars,
    lookback: 3,
    schema: { digits: "f64", sum: "f64" },
    compute: (w) => ({
      digits: w.column("close").reduce((digits, x) => digits * 10 + x, 0),
      sum: w.column("close").sum(),
    }),
  });
  const run = new TaskRun([list]);
  run.feed("bars", "A", [0, 1], [m, 2], [3 * m, 4]);
  expect(run.take()).toEqual([["list", "A", 3 * m, 124, 7]]);
  run.feed("bars", "A", [2 * m, 3]);
  expect(run.take()).toEqual([]);
  run.feed("bars", "A", [4 * m, 5]);
  expect(run.take()).toEqual([["list", "A", 4 * m, 345, 12]]);
});

test("onLate insert reaches a join's own window, and its past is not run again", () => {
  const a = stream("a", "1m", ["A"], { period: 2, onLate: "insert" });
  const b = stream("b", "5m", ["A"]);
  const join = new Join({
    name: "j",
    inputs: [a, b],
    lookback: 1,
    schema: { a: "f64", b: "f64" },
    compute: ([a, b]) => ({ a: a.value("close"), b: b.value("close") }),
  });
  const wide = new Join({
    name: "w",
    inputs: { a, b },
    lookback: { a: 2, b: 1 },
    schema: { sum: "f64" },
    compute: ({ a }) => ({ sum: a.column("close").sum() }),
  });
  const run = new TaskRun([join, wide]);
  run
    .feed("b", "A", [0, 50])
    .feed("a", "A", [4 * m, 1], [6 * m, 4])
    .advance(7 * m);
  expect(run.take()).toEqual([
    ["j", "A", 4 * m, 1, 50],
    ["j", "A", 6 * m, 4, 50],
    ["w", "A", 6 * m, 5],
  ]);
  run.feed("a", "A", [5 * m, 2]).advance(7 * m);
  expect(run.take()).toEqual([]);
  run.feed("a", "A", [7 * m, 8]).advance(8 * m);
  expect(run.take()).toEqual([
    ["j", "A", 7 * m, 8, 50],
    ["w", "A", 7 * m, 12],
  ]);
});

test("after a gap the window goes on, and says that it is not gapless", () => {
  const bars = stream("bars", "1m", ["A"]);
  const two = new Node({
    name: "two",
    input: bars,
    lookback: 2,
    schema: { sum: "f64", gapless: "bool" },
    compute: (w) => ({ sum: w.column("close").sum(), gapless: w.gapless ? 1 : 0 }),
  });
  const run = new TaskRun([two]);
  run.feed("bars", "A", [0, 1], [m, 2], [9 * m, 3]);
  expect(run.take()).toEqual([
    ["two", "A", m, 3, 1],
    ["two", "A", 9 * m, 5, 0],
  ]);
});

test("NaN is kept, infinities and values not of their kind are refused and counted, -0 is 0", () => {
  const bars = stream("bars", "1m", ["A"]);
  const x = new Node({
    name: "x",
    input: bars,
    schema: { f: "f64", n: "u32" },
    compute: (w) => ({ f: 1 / w.value("close"), n: w.value("close") }),
  });
  const run = new TaskRun([x]);
  run.feed("bars", "A", [0, Number.NaN], [m, 0], [2 * m, 2], [3 * m, 0.5], [4 * m, -1]);
  expect(run.take()).toEqual([
    ["x", "A", 0, Number.NaN, Number.NaN],
    ["x", "A", 2 * m, 0.5, 2],
  ]);
  expect(run.task.counts().nodes).toEqual([{ node: 1, emitted: 2, refused: 3 }]);
  const zero = new Node({
    name: "zero",
    input: bars,
    schema: { z: "f64" },
    compute: (w) => ({ z: w.value("close") * -1 }),
  });
  const other = new TaskRun([zero]);
  other.feed("bars", "A", [0, 0]);
  const [emitted] = other.take();
  expect(Object.is(emitted?.[3], 0)).toBe(true);
});

test("an operator's state starts as NaN, is kept per key, and out is checked like a result", () => {
  const bars = stream("bars", "1m", ["A", "B"]);
  const count = new Operator({
    name: "count",
    input: bars,
    schema: { n: "f64" },
    state: 1,
    step(_window, _params, state, out) {
      state[0] = Number.isNaN(state[0]) ? 1 : state[0]! + 1;
      out.n = state[0];
      return state[0] !== 2;
    },
  });
  const run = new TaskRun([count]);
  run.feed("bars", "A", [0, 1], [m, 1], [2 * m, 1]).feed("bars", "B", [0, 1]);
  expect(run.take()).toEqual([
    ["count", "A", 0, 1],
    ["count", "A", 2 * m, 3],
    ["count", "B", 0, 1],
  ]);
});

test("a throwing compute, a bad result and an extra field are named with node, key and time", () => {
  const bars = stream("bars", "1m", ["A"]);
  const bad = (compute: () => unknown, name: string) =>
    new TaskRun([
      new Node({
        name,
        input: bars,
        schema: { x: "f64" },
        compute: compute as () => { x: number },
      }),
    ]);
  const feed = (run: TaskRun) => () => run.feed("bars", "A", [0, 1]);
  expect(
    feed(
      bad(() => {
        throw new Error("no luck");
      }, "thrower"),
    ),
  ).toThrow('Cannot compute "thrower" for A at 1970-01-01T00:01:00.000Z: no luck');
  expect(feed(bad(() => ({ x: "1" }), "texter"))).toThrow(
    'field "x" of the result is string, wanted a number',
  );
  expect(feed(bad(() => ({}), "lacker"))).toThrow('field "x" of the result is none');
  expect(feed(bad(() => ({ x: 1, y: 2 }), "extra"))).toThrow('the result has the field "y"');
});
