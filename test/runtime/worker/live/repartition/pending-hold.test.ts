import { expect, test } from "bun:test";
import { Join, StreamInput } from "../../../../../nodes/index.ts";
import { PendingHold } from "../../../../../runtime/worker/live/repartition/pending-hold.ts";
import { StageProgress } from "../../../../../runtime/worker/live/repartition/stage-progress.ts";
import { price, TaskRun } from "../../../../harness/task-run.ts";

const minute = 60_000;

/** Two streams joined by key, with room for 4 bars that wait. */
function joined() {
  const stream = (name: string) =>
    new StreamInput({
      name,
      topic: name,
      symbols: ["K", "L"],
      interval: "1m",
      period: 2,
      schema: price,
    });
  const sum = new Join({
    name: "sum",
    inputs: { a: stream("a"), b: stream("b") },
    lookback: 1,
    schema: price,
    compute: (windows) => ({ close: windows.a.value("close", -1) }),
  });
  const run = new TaskRun([sum]);
  const progress = new StageProgress(run.task, [0, 1]);
  const hold = new PendingHold(run.task, progress, { streams: [0, 1], max: 4 });
  const feed = (name: string, key: string, from: number, to: number): readonly number[] => {
    const rows = Array.from({ length: to - from }, (_, i) => [(from + i) * minute, 1]);
    run.feed(name, key, ...rows);
    progress.advance();
    return [...hold.look()];
  };
  return { hold, feed };
}

test("a stream is held while as many of its bars wait as may, and until half have gone on", () => {
  const { hold, feed } = joined();
  expect(feed("a", "K", 0, 3)).toEqual([]);
  expect(hold.waiting).toBeUndefined();
  expect(feed("a", "K", 3, 6)).toEqual([0]);
  expect(hold.waiting).toEqual({ held: 1, join: 2, input: 1, slot: 0 });
  expect(feed("b", "K", 0, 4)).toEqual([0]);
  expect(feed("b", "K", 4, 5)).toEqual([]);
  expect(hold.waiting).toBeUndefined();
});

test("streams that wait for each other are not held: one of them has what the others lack", () => {
  const { hold, feed } = joined();
  expect(feed("a", "K", 0, 4)).toEqual([0]);
  expect(feed("b", "L", 0, 4)).toEqual([]);
  expect(hold.waiting).toBeUndefined();
});
