import { expect, test } from "bun:test";
import * as fc from "fast-check";
import {
  type ColumnBatch,
  concatColumns,
  mergeColumns,
  newColumnBatch,
  rowAtTime,
  sliceColumns,
} from "../../../runtime/contract/columns.ts";

type Identity = readonly [ts: number, seq: number];

/** One column that says which batch and row a value came from. */
function batchOf(identities: readonly Identity[], origin: number): ColumnBatch {
  const batch = newColumnBatch(identities.length, 1);
  for (const [i, [ts, seq]] of identities.entries()) {
    batch.ts[i] = ts;
    batch.seq[i] = seq;
    batch.columns[0]![i] = origin + i;
  }
  return batch;
}

const anyIdentities = fc
  .uniqueArray(fc.tuple(fc.nat(6), fc.nat(2)), { selector: String, maxLength: 20 })
  .map((list) => list.toSorted((a, b) => a[0] - b[0] || a[1] - b[1]));

// Goal: the merge for every pair of batches. Method: a map by identity is the model.
test("mergeColumns() keeps each identity once, in order, the later batch's row of two", () => {
  fc.assert(
    fc.property(anyIdentities, anyIdentities, (stored, rows) => {
      const a = batchOf(stored, 0);
      const b = batchOf(rows, 100);
      const model = new Map<string, number>();
      for (const [i, identity] of stored.entries()) model.set(String(identity), i);
      for (const [i, identity] of rows.entries()) model.set(String(identity), 100 + i);
      const merged = mergeColumns(a, b);
      const keys = Array.from(merged.ts, (ts, i) => `${ts},${merged.seq[i]}`);
      expect(keys).toEqual([...model.keys()].toSorted());
      expect(Array.from(merged.columns[0]!)).toEqual(keys.map((key) => model.get(key)!));
    }),
  );
});

test("rowAtTime() is the first row at or after a time, or the count", () => {
  const batch = batchOf(
    [
      [10, 0],
      [20, 0],
      [20, 1],
      [30, 0],
    ],
    0,
  );
  expect([5, 10, 11, 20, 30, 31].map((time) => rowAtTime(batch, time))).toEqual([0, 0, 1, 1, 3, 4]);
});

/** Rows `first` to `first + count - 1` of one column: ts = row * 10, seq = row, value = row / 2. */
function rowsFrom(first: number, count: number): ColumnBatch {
  const batch = newColumnBatch(count, 1);
  for (let i = 0; i < count; i += 1) {
    batch.ts[i] = (first + i) * 10;
    batch.seq[i] = first + i;
    batch.columns[0]![i] = (first + i) / 2;
  }
  return batch;
}

test("newColumnBatch() has zeros in all columns of its own", () => {
  const batch = newColumnBatch(2, 3);
  expect(batch.count).toBe(2);
  expect(batch.columns.map((column) => [...column])).toEqual([
    [0, 0],
    [0, 0],
    [0, 0],
  ]);
  expect([...batch.ts, ...batch.seq]).toEqual([0, 0, 0, 0]);
  expect(new Set([batch.ts, batch.seq, ...batch.columns].map((one) => one.buffer)).size).toBe(5);
});

test("sliceColumns() gives rows from to to as views on the same memory", () => {
  const batch = rowsFrom(1, 5);
  const part = sliceColumns(batch, 1, 4);
  expect(part.count).toBe(3);
  expect([...part.ts]).toEqual([20, 30, 40]);
  expect([...part.seq]).toEqual([2, 3, 4]);
  expect([...part.columns[0]!]).toEqual([1, 1.5, 2]);
  batch.columns[0]![1] = 99;
  expect(part.columns[0]![0]).toBe(99);
  expect(sliceColumns(batch, 2, 2).count).toBe(0);
});

test("concatColumns() copies the rows of all batches after each other", () => {
  const first = rowsFrom(1, 2);
  const all = concatColumns([first, rowsFrom(3, 0), rowsFrom(3, 1)], 1);
  expect(all.count).toBe(3);
  expect([...all.ts]).toEqual([10, 20, 30]);
  expect([...all.seq]).toEqual([1, 2, 3]);
  expect([...all.columns[0]!]).toEqual([0.5, 1, 1.5]);
  first.ts[0] = 7;
  expect(all.ts[0]).toBe(10);
});

test("concatColumns() leaves out what lies beyond count in longer arrays", () => {
  const long = rowsFrom(1, 4);
  const all = concatColumns([{ ...long, count: 2 }, rowsFrom(9, 1)], 1);
  expect([...all.ts]).toEqual([10, 20, 90]);
  expect([...all.columns[0]!]).toEqual([0.5, 1, 4.5]);
});

test("concatColumns() of nothing has no rows and the columns that were asked for", () => {
  const none = concatColumns([], 2);
  expect(none.count).toBe(0);
  expect(none.columns.length).toBe(2);
});
