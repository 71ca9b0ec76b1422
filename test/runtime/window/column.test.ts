import { expect, test } from "bun:test";
import { Interval } from "../../../runtime/core/interval.ts";
import { ColumnView } from "../../../runtime/window/column.ts";

/** A view of `values`, which lie in a store behind two others. */
function viewOf(...values: readonly number[]): ColumnView {
  const place = {
    values: Float64Array.from([-1, -2, ...values, -3]),
    slots: 1,
    interval: Interval.of("1m"),
    column: 1,
  };
  const view = new ColumnView(place, values.length);
  Object.assign(view, { start: 2, length: values.length, startTs: 0, stamp: 1 });
  return view;
}

test("values are read from the oldest, or with negative numbers from the newest", () => {
  const view = viewOf(5, 6, 7);
  expect([view.at(0), view.at(2), view.at(-1), view.at(-3)]).toEqual([5, 7, 7, 5]);
  expect([view.first, view.last, view.length]).toEqual([5, 7, 3]);
  expect([...view]).toEqual([5, 6, 7]);
  for (const beyond of [3, -4, Number.NaN]) expect(() => view.at(beyond)).toThrow(RangeError);
});

test("a column and its slice know sum, mean, deviation, z-score and extremes", () => {
  // Mean 5, squared distances 9 + 1 + 1 + 1 + 0 + 0 + 4 + 16 = 32, over 8 is 4.
  const view = viewOf(2, 4, 4, 4, 5, 5, 7, 9);
  const seen = (column: Pick<ColumnView, "sum" | "mean" | "std" | "zscore" | "min" | "max">) => [
    column.sum(),
    column.mean(),
    column.std(),
    column.zscore(),
    column.min(),
    column.max(),
  ];
  expect(seen(view)).toEqual([40, 5, 2, 2, 2, 9]);
  expect(seen(view.slice())).toEqual([40, 5, 2, 2, 2, 9]);
  // 5 and 7: one from their mean each.
  expect(seen(view.slice(-3, -1))).toEqual([12, 6, 1, 1, 5, 7]);
  expect(viewOf(3, 3).slice().zscore()).toBe(0);
});

test("NaN is kept: in sums, and in the smallest and the largest", () => {
  const view = viewOf(1, Number.NaN, 3);
  for (const column of [view, view.slice()]) {
    expect([column.sum(), column.min(), column.max()]).toEqual([
      Number.NaN,
      Number.NaN,
      Number.NaN,
    ]);
  }
  expect(view.slice(2).sum()).toBe(3);
});

test("slice() cuts as an array does, of a slice too, and never beyond", () => {
  const values = [1, 2, 3, 4, 5];
  const view = viewOf(...values);
  for (const [from, to] of [
    [1, 3],
    [-2, undefined],
    [0, -4],
    [3, 2],
    [-9, 9],
  ] as const) {
    expect(Array.from(view.slice(from, to))).toEqual(values.slice(from, to));
    expect(Array.from(view.slice(1).slice(from, to))).toEqual(values.slice(1).slice(from, to));
  }
  expect(() => view.slice(3, 2).at(0)).toThrow("it is empty");
  expect(() => view.slice(3).at(2)).toThrow("Cannot read value 2 of a column: it has 2");
});

test("reduce() and copyTo() go from the oldest to the newest, and copyTo() needs the room", () => {
  const view = viewOf(1, 2, 3);
  for (const column of [view, view.slice()]) {
    expect(column.reduce((text, value, i) => `${text}${i}:${value} `, "")).toBe("0:1 1:2 2:3 ");
    const target = new Float64Array(5);
    column.copyTo(target, 1);
    expect([...target]).toEqual([0, 1, 2, 3, 0]);
    expect(() => column.copyTo(target, 3)).toThrow(RangeError);
  }
});

test("a view that was let go is an error and not an old value", () => {
  const view = viewOf(1, 2);
  view.length = 0;
  for (const read of [
    () => view.sum(),
    () => view.max(),
    () => view.std(),
    () => view.slice(),
    () => view.at(0),
  ]) {
    expect(read).toThrow("wanted one that compute has not let go");
  }
});
