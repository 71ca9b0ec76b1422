import { expect, test } from "bun:test";
import { Quarantines } from "../../../../../runtime/worker/live/loop/quarantines.ts";

/** Tasks of partitions 0 and 1 with sends, and in what order they were asked for what. */
function noted() {
  const calls: string[] = [];
  const tasks = [0, 1].map((partition) => ({
    partition,
    task: {
      quarantine: (nodes: ReadonlySet<number>) => {
        calls.push(`partition ${partition}: ${[...nodes].join(" ")}`);
      },
    },
  }));
  const sends = {
    finish: async () => {
      calls.push("finish");
    },
  };
  return { calls, tasks, sends };
}

const places = [
  { partition: 0, node: 2, untilMs: 1_000 },
  { partition: 0, node: 5, untilMs: 2_000 },
  { partition: 1, node: 3, untilMs: 2_000 },
];

test("in() gives the silent nodes of one partition", () => {
  const quarantines = new Quarantines(places);
  expect([...quarantines.in(0)]).toEqual([2, 5]);
  expect([...quarantines.in(1)]).toEqual([3]);
  expect([...quarantines.in(2)]).toEqual([]);
});

test("release() does nothing before a time is over", async () => {
  const { calls, tasks, sends } = noted();
  const quarantines = new Quarantines(places);
  await quarantines.release(tasks, sends, 999);
  expect(calls).toEqual([]);
  expect(quarantines.count).toBe(3);
});

test("release() commits first, then brings back the nodes whose time is over (V5)", async () => {
  const { calls, tasks, sends } = noted();
  const quarantines = new Quarantines(places);
  await quarantines.release(tasks, sends, 1_000);
  expect(calls).toEqual(["finish", "partition 0: 5", "partition 1: 3"]);
  expect(quarantines.count).toBe(2);
  await quarantines.release(tasks, sends, 2_000);
  expect(calls.slice(3)).toEqual(["finish", "partition 0: ", "partition 1: "]);
  expect(quarantines.count).toBe(0);
});

test("release() leaves a node silent if what came before could not be committed (V5)", async () => {
  const { calls, tasks } = noted();
  const quarantines = new Quarantines(places);
  const sends = { finish: async () => await Promise.reject(new Error("refused on purpose")) };
  expect(quarantines.release(tasks, sends, 5_000)).rejects.toThrow("refused on purpose");
  expect(calls).toEqual([]);
  expect([...quarantines.in(0)]).toEqual([2, 5]);
});
