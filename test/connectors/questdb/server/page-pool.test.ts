import { expect, test } from "bun:test";
import { PagePool } from "../../../../connectors/questdb/server/page-pool.ts";

test("take() gives columns that share no value, fewer rows for wide ones, 8 MiB at most", () => {
  for (const [columnCount, rows] of [
    [0, 65_536],
    [14, 65_536],
    [15, 61_680],
    [254, 4_096],
  ] as const) {
    const { count, ts, seq, columns } = new PagePool().take(columnCount);
    const all = [ts, seq, ...columns];
    for (const [i, column] of all.entries()) column.fill(i);
    expect(count).toBe(rows);
    expect(all.length).toBe(columnCount + 2);
    expect(all.every((column, i) => column.length === rows && column[0] === i)).toBe(true);
    expect(all.every((column, i) => column[rows - 1] === i)).toBe(true);
    expect(8 * all.length * rows).toBeLessThanOrEqual(2 ** 23);
  }
});

test("take() uses again what was given back, whatever its form was, and keeps four pages", () => {
  const pool = new PagePool();
  const taken = Array.from({ length: 5 }, () => pool.take(8));
  const memory = new Set(taken.map(({ ts }) => ts.buffer));
  expect(memory.size).toBe(5);
  for (const page of taken) pool.give(page);
  const again = Array.from({ length: 5 }, () => pool.take(100).ts.buffer);
  expect(again.filter((buffer) => memory.has(buffer)).length).toBe(4);
  expect(new Set(again).size).toBe(5);
});
