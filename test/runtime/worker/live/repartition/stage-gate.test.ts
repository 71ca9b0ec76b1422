import { expect, test } from "bun:test";
import { systemClock } from "../../../../../runtime/core/clock.ts";
import { BoardRow, newBoardMemory } from "../../../../../runtime/worker/live/board.ts";
import { StageGate } from "../../../../../runtime/worker/live/repartition/stage-gate.ts";

const signal = AbortSignal.timeout(10_000);

function gates(threads: number) {
  const board = newBoardMemory(threads);
  const rows = Array.from({ length: threads }, (_, thread) => new BoardRow(board, thread));
  return rows.map((row) => new StageGate(row, rows, systemClock));
}

test("threads pass when the last of them has come, and one that comes again finds it open", async () => {
  const [first, second] = gates(2);
  const passed: string[] = [];
  const waiting = first!.pass(1, signal).then(() => passed.push("first"));
  await Bun.sleep(20);
  expect(passed).toEqual([]);
  await second!.pass(1, signal);
  await waiting;
  await first!.pass(1, signal);
  expect(passed).toEqual(["first"]);
});

test("a stop ends the wait", async () => {
  const [first] = gates(2);
  const stop = new AbortController();
  const waiting = first!.pass(2, stop.signal).catch((error: unknown) => error);
  const reason = new Error("stopped on purpose");
  stop.abort(reason);
  expect(await waiting).toBe(reason);
});
