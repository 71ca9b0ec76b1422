import { expect, test } from "bun:test";
import { Interval } from "../../../runtime/core/interval.ts";
import { ColumnStore } from "../../../runtime/window/column-store.ts";
import { openWindow } from "../../../runtime/window/window-class.ts";

const minute = 60_000;
const schema = { close: "f64", volume: "f64" } as const;

function filled(times: readonly number[], lookback: number) {
  const store = new ColumnStore(lookback, 2, 1);
  for (const [i, ts] of times.entries()) {
    const at = store.append(0);
    store.values[at] = ts;
    store.values[at + store.stride] = i + 1;
    store.values[at + 2 * store.stride] = (i + 1) * 10;
  }
  const label = 'input "btc" of "spread"';
  const fields = ["close", "volume"];
  return openWindow<typeof schema>({ store, fields, lookback, interval: Interval.of("1m"), label });
}

test("bind() says whether the lookback is there", () => {
  expect(filled([0], 2).bind(0)).toBe(false);
  expect(filled([0, minute], 2).bind(0)).toBe(true);
});

test("value(), at(), column() and iteration show the newest `lookback` rows, oldest first (W1)", () => {
  const window = filled([0, minute, 2 * minute, 3 * minute], 3);
  window.bind(0);
  expect([window.length, window.full, window.gapless]).toEqual([3, true, true]);
  expect([window.value("close"), window.value("close", 0), window.value("volume", -2)]).toEqual([
    4, 2, 30,
  ]);
  expect(window.at(-1)).toEqual({ close: 4, volume: 40 });
  expect([...window.column("close")]).toEqual([2, 3, 4]);
  expect([...window.column("close", 2)]).toEqual([3, 4]);
  expect([...window.times]).toEqual([minute, 2 * minute, 3 * minute]);
  expect([...window]).toEqual([
    [minute, { close: 2, volume: 20 }],
    [2 * minute, { close: 3, volume: 30 }],
    [3 * minute, { close: 4, volume: 40 }],
  ]);
});

test("gapless is false where a bar is missing", () => {
  const window = filled([0, minute, 3 * minute], 3);
  window.bind(0);
  expect(window.gapless).toBe(false);
});

test("reading beyond the lookback or an unknown field is a named error", () => {
  const window = filled([0, minute], 2);
  window.bind(0);
  expect(() => window.column("close", 3)).toThrow(
    'Cannot read 3 bars of input "btc" of "spread": its lookback is 2, wanted at most that',
  );
  expect(() => window.value("close", -3)).toThrow("its lookback is 2");
  expect(() => window.value("close", 2)).toThrow("its lookback is 2");
  expect(() => window.column("clos" as "close")).toThrow("it has the fields close, volume");
});

test("columns read, fold, copy and slice without an index operator", () => {
  const window = filled([0, minute, 2 * minute, 3 * minute], 4);
  window.bind(0);
  const close = window.column("close");
  expect([close.first, close.last, close.at(1), close.at(-2), close.length]).toEqual([
    1, 4, 2, 3, 4,
  ]);
  expect([close.sum(), close.mean(), close.min(), close.max()]).toEqual([10, 2.5, 1, 4]);
  expect(close.reduce((product, value) => product * value, 1)).toBe(24);
  const target = new Float64Array(5);
  close.copyTo(target, 1);
  expect([...target]).toEqual([0, 1, 2, 3, 4]);
  const middle = close.slice(1, -1);
  expect([[...middle], middle.sum(), middle.mean(), middle.min(), middle.max()]).toEqual([
    [2, 3],
    5,
    2.5,
    2,
    3,
  ]);
  expect([middle.std(), middle.zscore(), middle.last, middle.first]).toEqual([0.5, 1, 3, 2]);
  expect(Array.from(middle.slice(1))).toEqual([3]);
  middle.copyTo(target);
  expect([...target]).toEqual([2, 3, 2, 3, 4]);
  expect(() => close.at(4)).toThrow("Cannot read value 4 of a column: it has 4");
  expect(() => middle.at(2)).toThrow(RangeError);
  expect(() => close.copyTo(new Float64Array(3))).toThrow(RangeError);
  expect(() => middle.copyTo(new Float64Array(1))).toThrow(RangeError);
});

test("a column kept after release() is empty, not stale (W3)", () => {
  const window = filled([0, minute], 2);
  window.bind(0);
  const kept = window.column("close");
  window.release();
  for (const use of [() => kept.last, () => kept.mean(), () => kept.std(), () => kept.min()]) {
    expect(use).toThrow("compute has not let go");
  }
});
