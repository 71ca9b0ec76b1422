import { expect, test } from "bun:test";
import { restartFloats, runAgainFrom } from "../../../nodes/indicators/restart.ts";
import { Interval } from "../../../runtime/index.ts";
import { ColumnView } from "../../../runtime/window/column.ts";

// Blocks of 10 ms, 5 records to settle; records 1 ms apart.
const restart = { settleBars: 5, blockMs: 10 };

/** The window of 18 records that ends with the record of time `end`. */
function windowTo(end: number): ColumnView {
  const values = Float64Array.from({ length: 18 }, (_, i) => end - 17 + i);
  const view = new ColumnView({ values, slots: 1, interval: Interval.of("1m"), column: 1 }, 18);
  view.length = 18;
  return view;
}

const newState = (): Float64Array => new Float64Array(restartFloats).fill(Number.NaN);

test("the seed is the first record of the newest block with 5 records after it", () => {
  // The window is 83 … 100: the record that has settled is 95, its block begins at 90.
  expect(runAgainFrom(windowTo(100), restart, newState())).toBe(90 - 83);
  expect(runAgainFrom(windowTo(104), restart, newState())).toBe(90 - 87);
  expect(runAgainFrom(windowTo(105), restart, newState())).toBe(100 - 88);
});

test("the chain goes on with each record and is run again once a new seed has settled (E3)", () => {
  const state = newState();
  const found = Array.from({ length: 12 }, (_, i) =>
    runAgainFrom(windowTo(100 + i), restart, state),
  );
  expect(found).toEqual([7, -1, -1, -1, -1, 12, -1, -1, -1, -1, -1, -1]);
});

test("a state that is not of the window's records is not gone on with", () => {
  const state = newState();
  runAgainFrom(windowTo(200), restart, state);
  expect(runAgainFrom(windowTo(101), restart, state)).toBe(90 - 84);
  expect(runAgainFrom(windowTo(101), restart, state)).toBe(90 - 84);
  expect(runAgainFrom(windowTo(103), restart, state)).toBe(90 - 86);
  expect(runAgainFrom(windowTo(104), restart, state)).toBe(-1);
});
