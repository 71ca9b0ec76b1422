import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { PendingRows } from "../../../../runtime/worker/task/pending-rows.ts";

/** Pushes a record of two columns, side by side. */
function push(rows: PendingRows, close: number, value: number): void {
  rows.push(close, Float64Array.of(close - 1, value), 0, 1);
}

function shift(rows: PendingRows): readonly number[] {
  const out = new Float64Array(2);
  rows.shift(out, 0, 1);
  return [...out];
}

// Goal: order for every sequence of pushes and shifts. Method: a sorted list is the model.
test("rows leave by close time, equal ones in the order they came", () => {
  const step = fc.oneof(fc.nat({ max: 20 }), fc.constant("shift" as const));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const rows = new PendingRows(2);
      let model: [close: number, value: number][] = [];
      for (const [i, close] of steps.entries()) {
        if (close !== "shift") {
          push(rows, close, i);
          model = [...model, [close, i] as [number, number]].toSorted(([a], [b]) => a - b);
        } else if (model.length > 0) {
          const [oldest, ...rest] = model as [[number, number]];
          expect(rows.headClose).toBe(oldest[0]);
          expect(shift(rows)).toEqual([oldest[0] - 1, oldest[1]]);
          model = rest;
        }
        expect(rows.count).toBe(model.length);
      }
      const left: number[] = [];
      rows.each((values, at) => left.push(values[at + 2]!));
      expect(left).toEqual(model.map(([, value]) => value));
      rows.clear();
      expect([rows.count, rows.headClose]).toEqual([0, Number.POSITIVE_INFINITY]);
    }),
  );
});

test("no more rows wait than the limit; one more is INPUT_MISSING and names it", () => {
  const rows = new PendingRows(2, 20);
  for (let i = 0; i < 20; i += 1) push(rows, i, i);
  expect(() => push(rows, 20, 20)).toThrow("20 wait for another input, wanted at most 20");
  shift(rows);
  push(rows, 20, 20);
  expect([rows.count, rows.headClose]).toEqual([20, 1]);
});
