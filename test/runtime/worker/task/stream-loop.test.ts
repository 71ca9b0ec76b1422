import { expect, test } from "bun:test";
import { Node, StreamInput } from "../../../../nodes/index.ts";
import { TaskRun } from "../../../harness/task-run.ts";

const m = 60_000;
const bar = { close: "f64", closeTime: "u64" } as const;

/** Emits, for each bar of a stream, when it closed. */
function closes(interval: string): TaskRun {
  const bars = new StreamInput({ name: "bars", symbols: ["A"], interval, period: 1, schema: bar });
  const closed = new Node({
    name: "closed",
    input: bars,
    lookback: 1,
    schema: { time: "f64" },
    compute: (_w, _p, { time }) => ({ time }),
  });
  return new TaskRun([closed]);
}

test("a bar on the grid closes at the next boundary, whatever its closeTime says", () => {
  const run = closes("1m");
  run.feed("bars", "A", [0, 1, m - 1], [m, 2, 5 * m - 1]);
  expect(run.take()).toEqual([
    ["closed", "A", 0, m],
    ["closed", "A", m, 2 * m],
  ]);
});

test("a bar off the grid closes at closeTime + 1, rounded up to the grid", () => {
  const run = closes("1m");
  // Opened 30 s late, closed with its minute; opened 20 s late, closed 10 s into the next minute.
  run.feed("bars", "A", [30_000, 1, m - 1], [2 * m + 20_000, 2, 3 * m + 10_000 - 1]);
  expect(run.take()).toEqual([
    ["closed", "A", 0, m],
    ["closed", "A", 3 * m, 4 * m],
  ]);
});

test("without a closeTime a bar off the grid closes at the boundary after it opened", () => {
  const run = closes("1m");
  run.feed("bars", "A", [90_000, 1, Number.NaN]);
  expect(run.take()).toEqual([["closed", "A", m, 2 * m]]);
});

test("a month closes with the month, not after as many days as another has", () => {
  const run = closes("1M");
  const [february, march] = [Date.UTC(2024, 1, 1), Date.UTC(2024, 2, 1)];
  run.feed("bars", "A", [february, 1, march - 1]);
  expect(run.take()).toEqual([["closed", "A", february, march]]);
});
