/**
 * Goal: rolling values equal a plain pass over the window, and the same window gives the same bits
 * whatever came before it (DESIGN §5). Method: a windowed array is the model; one roller sees the
 * whole history, another starts with the window alone.
 */
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { Interval } from "../../../runtime/core/interval.ts";
import { ColumnView } from "../../../runtime/window/column.ts";

const minute = 60_000;

interface Row {
  readonly ts: number;
  readonly value: number;
}

/** A view on the rows as a store would show them: times first, values after. */
function viewOf(rows: readonly Row[], width: number, interval: Interval) {
  const values = new Float64Array(rows.length * 2);
  for (const [i, { ts, value }] of rows.entries()) {
    values[i] = ts;
    values[rows.length + i] = value;
  }
  const view = new ColumnView({ values, slots: 1, interval, column: 1 }, width);
  return (end: number, stamp: number): ColumnView => {
    view.startTs = end - width;
    view.start = rows.length + end - width;
    view.length = width;
    view.stamp = stamp;
    return view;
  };
}

const read = (view: ColumnView): readonly number[] => [
  view.sum(),
  view.std(),
  view.zscore(),
  view.min(),
  view.max(),
];

/** Bars of 2020, and of 1960: times before the epoch are times like all others. */
const history = fc
  .tuple(
    fc.constantFrom(1_577_836_800_000, -315_619_200_000),
    fc.array(
      fc.record({
        skip: fc.integer({ min: 0, max: 3 }),
        value: fc.double({ min: -1e6, max: 1e6, noNaN: true }),
      }),
      { minLength: 1, maxLength: 120 },
    ),
  )
  .map(([start, steps]) => {
    let ts = start;
    return steps.map(({ skip, value }): Row => ({ ts: (ts += (1 + skip) * minute), value }));
  });

test("sum, std, zscore, min and max are bit-equal from any start (R1)", () => {
  const interval = Interval.of("1m");
  fc.assert(
    fc.property(history, fc.integer({ min: 1, max: 12 }), (rows, width) => {
      const long = viewOf(rows, width, interval);
      for (let end = width; end <= rows.length; end += 1) {
        const fresh = viewOf(rows.slice(end - width, end), width, interval);
        expect(read(long(end, end))).toEqual(read(fresh(width, 1)) as number[]);
      }
    }),
  );
});

test("values are those of a plain pass over the window", () => {
  const interval = Interval.of("1m");
  fc.assert(
    fc.property(history, fc.integer({ min: 1, max: 12 }), (rows, width) => {
      const rolling = viewOf(rows, width, interval);
      for (let end = width; end <= rows.length; end += 1) {
        const window = rows.slice(end - width, end).map(({ value }) => value);
        const mean = window.reduce((sum, value) => sum + value, 0) / width;
        const std = Math.sqrt(window.reduce((sum, v) => sum + (v - mean) ** 2, 0) / width);
        const view = rolling(end, end);
        expect(Math.abs(view.mean() - mean)).toBeLessThanOrEqual(1e-9 * 1e6);
        expect(Math.abs(view.std() - std)).toBeLessThanOrEqual(1e-6 * Math.max(1, std) * 10);
        expect([view.min(), view.max()]).toEqual([Math.min(...window), Math.max(...window)]);
      }
    }),
  );
});

test("zscore() is 0 where all values are equal, NaN where one is NaN, and recovers after it", () => {
  const interval = Interval.of("1m");
  const rows = [7, 7, 7, Number.NaN, 7, 7, 8].map((value, i) => ({ ts: i * minute, value }));
  const at = viewOf(rows, 3, interval);
  expect(at(3, 3).zscore()).toBe(0);
  expect(at(4, 4).zscore()).toBeNaN();
  expect(at(6, 6).zscore()).toBeNaN();
  // 7, 7, 8: mean 22/3, population deviation sqrt(2)/3; (8 − 22/3) / (sqrt(2)/3) = sqrt(2).
  expect(at(7, 7).zscore()).toBeCloseTo(Math.SQRT2, 12);
});

test("months and weeks have blocks of their own length (R2)", () => {
  for (const name of ["1M", "1w", "3d"]) {
    const interval = Interval.of(name);
    const first = interval.indexOf(1_577_836_800_000);
    const rows = Array.from({ length: 30 }, (_, i) => ({
      ts: interval.openOf(first + i),
      value: 0.1 * i,
    }));
    const long = viewOf(rows, 7, interval);
    for (let end = 7; end <= rows.length; end += 1) {
      const fresh = viewOf(rows.slice(end - 7, end), 7, interval);
      expect(read(long(end, end))).toEqual(read(fresh(7, 1)) as number[]);
    }
  }
});

test("off-grid rows that all lie in one block are summed anew (R3)", () => {
  const interval = Interval.of("1m");
  const rows = Array.from({ length: 40 }, (_, i) => ({ ts: i * 20_000, value: 1 / (i + 1) }));
  const long = viewOf(rows, 4, interval);
  for (let end = 4; end <= rows.length; end += 1) {
    const fresh = viewOf(rows.slice(end - 4, end), 4, interval);
    expect(read(long(end, end))).toEqual(read(fresh(4, 1)) as number[]);
  }
});
