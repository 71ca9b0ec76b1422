import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { ColumnStore } from "../../../runtime/window/column-store.ts";

function push(store: ColumnStore, slot: number, ts: number, ...fields: readonly number[]): void {
  const at = store.append(slot);
  store.values[at] = ts;
  for (const [i, value] of fields.entries()) store.values[at + (i + 1) * store.stride] = value;
}

function rowsOf(store: ColumnStore, slot: number): number[][] {
  const rows: number[][] = [];
  const end = slot * store.slotSize + store.ends[slot]!;
  for (let at = end - store.rows[slot]!; at < end; at += 1) {
    rows.push(
      Array.from({ length: store.columnCount }, (_, c) => store.values[at + c * store.stride]!),
    );
  }
  return rows;
}

test("the constructor refuses a size below 1", () => {
  expect(() => new ColumnStore(0, 1, 1)).toThrow(RangeError);
  expect(() => new ColumnStore(1, 1.5, 1)).toThrow("wanted an integer >= 1");
});

test("the stride is an odd multiple of 8 (C3)", () => {
  for (const period of [1, 7, 32, 60, 128, 512]) {
    const { stride } = new ColumnStore(period, 1, 1);
    expect((stride / 8) % 2).toBe(1);
    expect(stride).toBeGreaterThan(period);
  }
});

// Goal: C1 and C2 for every period and history. Method: an array cut to `period` is the model.
test("append() keeps the last `period` rows of each slot, apart from other slots (C1, C2)", () => {
  const history = fc.array(fc.integer({ min: 0, max: 2 }), { maxLength: 400 });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 20 }), history, (period, slots) => {
      const store = new ColumnStore(period, 2, 3);
      const model: number[][][] = [[], [], []];
      for (const [i, slot] of slots.entries()) {
        push(store, slot, i, i * 2, i * 3);
        model[slot]!.push([i, i * 2, i * 3]);
      }
      for (const slot of [0, 1, 2]) {
        expect(rowsOf(store, slot)).toEqual(model[slot]!.slice(-period));
      }
    }),
  );
});

test("insert() places a late row by its time and refuses one that is there or too old", () => {
  const store = new ColumnStore(3, 1, 1);
  for (const ts of [10, 20, 40]) push(store, 0, ts, ts);
  const stamp = store.stamps[0]!;
  const at = store.insert(0, 30);
  store.values[at] = 30;
  store.values[at + store.stride] = 30;
  expect(rowsOf(store, 0)).toEqual([
    [20, 20],
    [30, 30],
    [40, 40],
  ]);
  expect(store.stamps[0]! - stamp).toBeGreaterThan(3);
  expect(store.insert(0, 30)).toBe(-1);
  expect(store.insert(0, 5)).toBe(-1);
});

test("clear() forgets the rows of one slot", () => {
  const store = new ColumnStore(3, 1, 2);
  push(store, 0, 1, 1);
  push(store, 1, 1, 1);
  store.clear(0);
  expect([store.newestTs(0), store.newestTs(1)]).toEqual([Number.NEGATIVE_INFINITY, 1]);
});
