import { expect, test } from "bun:test";
import { atr, StreamInput } from "../../../nodes/index.ts";
import { TaskRun } from "../../harness/task-run.ts";
import { bar, runIndicatorSuite } from "./indicator.suite.ts";
import { Endless } from "./oracles.ts";

for (const length of [1, 14]) {
  runIndicatorSuite({
    name: `atr of ${length}`,
    lookback: 37 * length + Math.ceil((37 * length) / 2) + 8,
    make: (bars) => atr(bars, { length }),
    oracle: () => {
      const endless = new Endless(1 / length);
      let before = Number.NaN;
      return {
        take: ({ high, low, close }) => {
          endless.take(Math.max(high - low, Math.abs(high - before), Math.abs(low - before)));
          before = close;
        },
        value: () => endless.value(),
      };
    },
  });
}

test("atr counts the distance from the close before: a jump of 10 in bars of 2 is a range of 11", () => {
  const bars = new StreamInput({
    name: "bars",
    symbols: ["A"],
    interval: "1m",
    period: 1,
    schema: bar,
  });
  const run = new TaskRun([atr(bars, { length: 1 })]);
  const rows = Array.from({ length: 70 }, (_, i) => (i < 69 ? [101, 99, 100] : [111, 109, 110]));
  run.feed("bars", "A", ...rows.map((row, i) => [i * 60_000, ...row]));
  expect(run.take().map(([, , , value]) => value)).toEqual([
    ...Array.from({ length: 6 }, () => 2),
    11,
  ]);
});
