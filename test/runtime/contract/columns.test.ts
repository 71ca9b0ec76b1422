import { expect, test } from "bun:test";
import * as fc from "fast-check";
import {
  type ColumnBatch,
  mergeColumns,
  newColumnBatch,
  rowAtTime,
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
