import { expect, test } from "bun:test";
import { StreamInput } from "../../nodes/index.ts";
import { overField } from "../../nodes/over-field.ts";
import { TaskRun } from "../harness/task-run.ts";

const bars = new StreamInput({
  name: "bars",
  symbols: ["A"],
  interval: "1m",
  period: 3,
  schema: { close: "f64", volume: "f64" },
});

/** What was traded over the last bars, less the oldest. */
const traded = (length: number) =>
  overField(bars, {
    name: "traded",
    field: "volume",
    length,
    schema: { sum: "f64", without: "f64" },
    step(window, params, _state, out) {
      const column = window.column(params.field, params.length);
      out.sum = column.sum();
      out.without = column.sum() - column.first;
      return true;
    },
  });

test("an indicator sees `length` values of its own field, from the bar on that has them", () => {
  const run = new TaskRun([traded(2)]);
  run.feed("bars", "A", [0, 7, 1], [60_000, 7, 10], [120_000, 7, 100]);
  const rows = run.take().filter(([name]) => name === "traded");
  expect(rows.map(([, , ...row]) => row)).toEqual([
    [60_000, 11, 10],
    [120_000, 110, 100],
  ]);
});
