import { expect, test } from "bun:test";
import { ema, Node, QmtlError, StreamInput } from "../../../nodes/index.ts";
import { buildGraph } from "../../../runtime/graph/graph.ts";
import { price, TaskRun } from "../../harness/task-run.ts";
import { runIndicatorSuite } from "./indicator.suite.ts";
import { Endless } from "./oracles.ts";

const minuteMs = 60_000;
const bars = (options: object = {}) =>
  new StreamInput({
    name: "bars",
    symbols: ["A"],
    interval: "1m",
    period: 1,
    schema: price,
    ...options,
  });

for (const length of [1, 9, 60]) {
  runIndicatorSuite({
    name: `ema of ${length}`,
    lookback: 19 * length + Math.ceil((19 * length) / 2) + 8,
    make: (stream) => ema(stream, "close", { length }),
    oracle: () => {
      const endless = new Endless(2 / (length + 1));
      return { take: ({ close }) => endless.take(close), value: () => endless.value() };
    },
  });
}

test("ema of 2 over 0 0 … 0 3 6 is 2 and then 4 2/3", () => {
  const run = new TaskRun([ema(bars(), "close", { length: 2 })]);
  const closes = [...Array.from({ length: 65 }, () => 0), 3, 6];
  run.feed("bars", "A", ...closes.map((close, i) => [i * minuteMs, close]));
  const values = run.take().map(([, , , value]) => value);
  expect(values.slice(-3)).toEqual([0, 2, 2 + (2 / 3) * 4]);
});

test("ema of months gives the same bits from any start: blocks of months differ by a bar", () => {
  const months = Array.from({ length: 900 }, (_, i) => [Date.UTC(1970, i), 100 + ((i * 37) % 101)]);
  const runFrom = (start: number) =>
    new TaskRun([ema(bars({ interval: "1M" }), "close", { length: 3 })])
      .feed("bars", "A", ...months.slice(start))
      .take();
  const whole = runFrom(0);
  for (let start = 1; start < 200; start += 7) {
    expect(runFrom(start)).toEqual(whole.slice(start));
  }
});

test("ema over records that share a time is a function of its window alone (E4)", () => {
  const rows = Array.from({ length: 1_500 }, (_, i) => [
    Math.floor(i / 200) * minuteMs + (i % 200),
    100 + ((i * 37) % 101),
  ]);
  const runFrom = (start: number) =>
    new TaskRun([ema(bars(), "close", { length: 4 })])
      .feed("bars", "A", ...rows.slice(start))
      .take();
  const whole = runFrom(0).map(([, , ...row]) => row);
  expect(whole.length).toBeGreaterThan(1_000);
  for (const start of [1, 77, 340, 901]) {
    expect(runFrom(start).map(([, , ...row]) => row)).toEqual(whole.slice(start));
  }
});

test("ema after a late record equals one that had it in time (E3)", () => {
  // Blocks of 38 bars, 76 to settle: at 260 the seed is 152, and without 152 it is 153.
  for (const missing of [250, 152]) {
    const rows = Array.from({ length: 400 }, (_, i) => [
      i * minuteMs,
      i === missing ? 2 ** 100 : 100 + ((i * 37) % 101),
    ]);
    const made = () => new TaskRun([ema(bars({ onLate: "insert" }), "close", { length: 4 })]);
    const inTime = made().feed("bars", "A", ...rows);
    const late = made();
    late.feed("bars", "A", ...rows.slice(0, missing), ...rows.slice(missing + 1, 260));
    late.take();
    late.feed("bars", "A", rows[missing]!, ...rows.slice(260));
    expect(late.take()).toEqual(inTime.take().slice(-140));
  }
});

test("the interval is part of what ema means, the name is not", () => {
  const idOf = (interval: string, name: string): string =>
    buildGraph([ema(bars({ interval }), "close", { length: 9, name }).declaration]).nodes.at(-1)!
      .definitionId;
  expect(idOf("1m", "a")).toBe(idOf("1m", "b"));
  expect(idOf("1m", "a")).not.toBe(idOf("5m", "a"));
});

test("ema of a node takes the bars of the stream under it", () => {
  const half = new Node({
    input: bars({ interval: "5m" }),
    schema: { x: "f64" },
    compute: (w) => ({ x: w.value("close") / 2 }),
  });
  const { params } = ema(half, "x", { length: 10 }).declaration;
  expect(params).toEqual({ field: "x", length: 10, settleBars: 190, blockMs: 95 * 5 * minuteMs });
});

test("ema refuses a length that is no integer from 1 to 10,000", () => {
  for (const length of [0, -1, 0.25, 1.5, Number.NaN, 10_001]) {
    expect(() => ema(bars(), "close", { length })).toThrow(QmtlError);
    expect(() => ema(bars(), "close", { length })).toThrow("wanted an integer from 1 to 10000");
  }
});
