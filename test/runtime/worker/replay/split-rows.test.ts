import { expect, test } from "bun:test";
import { splitRows } from "../../../../runtime/worker/replay/split-rows.ts";

test("rows of several keys become one batch a key, in order and copied", () => {
  const rows = {
    count: 5,
    slots: Int32Array.of(1, 0, 1, 1, 0, 2),
    ts: Float64Array.of(10, 10, 20, 30, 20, 99),
    columns: [Float64Array.of(1, 2, 3, 4, 5, 99), Float64Array.of(-1, -2, -3, -4, -5, 99)],
  };
  const split = splitRows(7, rows, ["A", "B", "C"]);
  rows.ts.fill(0);
  const plain = split.map(({ node, key, rows: own }) => [
    node,
    key,
    own.count,
    [...own.ts],
    own.columns.map((column) => [...column]),
  ]);
  // C has none: what lies beyond the count is not a row.
  expect(plain).toEqual([
    [
      7,
      "A",
      2,
      [10, 20],
      [
        [2, 5],
        [-2, -5],
      ],
    ],
    [
      7,
      "B",
      3,
      [10, 20, 30],
      [
        [1, 3, 4],
        [-1, -3, -4],
      ],
    ],
  ]);
});
