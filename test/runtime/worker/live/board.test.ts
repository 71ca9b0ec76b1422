import { expect, test } from "bun:test";
import {
  BoardRow,
  boardFields,
  boardSum,
  newBoardMemory,
} from "../../../../runtime/worker/live/board.ts";

test("a thread's row is its own, and what it shows is read from another view of the memory", () => {
  const memory = newBoardMemory(3);
  const [first, second] = [new BoardRow(memory, 0), new BoardRow(memory, 1)];
  for (const [i, field] of boardFields.entries()) second.set(field, i + 1);
  second.add("records", 10);
  second.partition = 7;
  const seen = new BoardRow(structuredClone(memory), 1);
  expect(boardFields.map((field) => seen.get(field))).toEqual(
    boardFields.map((_, i) => i + 1 + (i === 0 ? 10 : 0)),
  );
  expect([seen.partition, first.partition]).toEqual([7, 0]);
  expect(boardFields.every((field) => first.get(field) === 0)).toBe(true);
  first.set("records", 5);
  expect(boardSum([first, second, seen], "records")).toBe(5 + 11 + 11);
});

test("a thread beats with each turn of its loop and each record that runs", () => {
  const row = new BoardRow(newBoardMemory(1), 0);
  row.beat();
  row.beat();
  row.heartbeat[1] = 3;
  expect(row.beats).toBe(5);
});

test("the culprit is the node that ran when the thread failed, or the one that runs", () => {
  const row = new BoardRow(newBoardMemory(1), 0);
  row.begin();
  expect(row.culprit).toBe(-1);
  row.heartbeat[0] = 4;
  expect(row.culprit).toBe(4);
  row.fail();
  expect([row.culprit, row.heartbeat[0]]).toEqual([4, -1]);
  // The next thread in its place begins without a fault.
  row.begin();
  expect(row.culprit).toBe(-1);
});
