import { expect, test } from "bun:test";
import {
  type BarQuery,
  type BarSeries,
  pageText,
  partitionPoint,
  timesOf,
} from "../../../../connectors/simulated/market/market.ts";
import { Interval } from "../../../../runtime/index.ts";

const minute = 60_000;

/** Ten bars, a minute each from the epoch on, printed as their number. */
const tenBars: BarSeries = {
  begin: 0,
  end: (nowMs) => Math.min(10, Math.floor(nowMs / minute) + 1),
  lowerBound: (timeMs) => Math.max(0, Math.ceil(timeMs / minute)),
  openOf: (index) => index * minute,
  textOf: (index) => String(index),
};

const query: BarQuery = {
  interval: Interval.of("1m"),
  startMs: 0,
  endMs: 100 * minute,
  limit: 1_000,
  isFromEnd: false,
  nowMs: 100 * minute,
  unit: 1,
  gapsEvery: 0,
};

test("a page holds the oldest bars of the range, or the newest, always in rising order", () => {
  expect(pageText(tenBars, query)).toBe("[0,1,2,3,4,5,6,7,8,9]");
  expect(pageText(tenBars, { ...query, limit: 3 })).toBe("[0,1,2]");
  expect(pageText(tenBars, { ...query, limit: 3, isFromEnd: true })).toBe("[7,8,9]");
  // Both bounds are inclusive, and compared with open times.
  expect(pageText(tenBars, { ...query, startMs: 2 * minute, endMs: 4 * minute })).toBe("[2,3,4]");
  expect(pageText(tenBars, { ...query, startMs: 2 * minute + 1, endMs: 5 * minute - 1 })).toBe(
    "[3,4]",
  );
  expect(pageText(tenBars, { ...query, nowMs: 2.5 * minute })).toBe("[0,1,2]");
  expect(pageText(tenBars, { ...query, startMs: 20 * minute })).toBe("[]");
});

test("each n-th bar of the grid is a gap, and a gap takes no place in a page", () => {
  expect(pageText(tenBars, { ...query, gapsEvery: 3 })).toBe("[1,2,4,5,7,8]");
  expect(pageText(tenBars, { ...query, gapsEvery: 3, limit: 3 })).toBe("[1,2,4]");
  expect(pageText(tenBars, { ...query, gapsEvery: 3, limit: 3, isFromEnd: true })).toBe("[5,7,8]");
});

test("a close is the last ms, or the last µs, before the next opening", () => {
  expect(timesOf(60_000, 119_999, 1)).toEqual([60_000, 119_999]);
  expect(timesOf(60_000, 119_999, 1_000)).toEqual([60_000_000, 119_999_999]);
});

test("partitionPoint() is the first number past the border, or the count", () => {
  for (let border = 0; border <= 9; border += 1) {
    expect(partitionPoint(9, (index) => index >= border)).toBe(border);
  }
  expect(partitionPoint(0, () => true)).toBe(0);
});
