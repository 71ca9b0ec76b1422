import { expect, test } from "bun:test";
import { type Checkpoints } from "../../../../../runtime/worker/live/live-task.ts";
import { Spreads } from "../../../../integrity/join-strategies.ts";
import { barsOf } from "../../../../integrity/live-log.ts";
import { Means } from "../../../../integrity/live-strategies.ts";
import { openedOf } from "./opened.ts";

test("openTasks() opens what lies behind a repartition first, in every partition", async () => {
  const { tasks, forwards, log } = await openedOf(Spreads, {
    symbols: ["in", "out", "A|B"],
    partitions: 2,
  });
  expect(tasks.map(({ depth, partition }) => [depth, partition])).toEqual([
    [1, 0],
    [1, 1],
    [0, 0],
    [0, 1],
  ]);
  expect(forwards).toBeDefined();
  await log.transport.close();
});

test("openTasks() begins inputs where offsetReset says, and has no way into a repartition", async () => {
  const bars = barsOf(["A"], 10);
  const symbols = ["in", "out"];
  const earliest = await openedOf(Means, { symbols, bars });
  expect(earliest.tasks[0]!.feeds.map(({ position }) => position)).toEqual([0]);
  expect(earliest.forwards).toBeUndefined();
  await earliest.log.transport.close();
  const latest = await openedOf(Means, { symbols, bars, more: { offsetReset: "latest" } });
  expect(latest.tasks[0]!.feeds.map(({ position }) => position)).toEqual([10]);
  await latest.log.transport.close();
});

test("openTasks() goes on from a checkpoint, with the records that the run had taken by it", async () => {
  const checkpoints: Checkpoints = {
    async restore({ feeds, partition }) {
      for (const { reader } of feeds) {
        reader.nextOffset = 4 + partition;
        reader.counts.records = 3 + partition;
      }
    },
    take: () => undefined,
    commit: async () => undefined,
  };
  const { tasks, row, log } = await openedOf(Means, {
    symbols: ["in", "out"],
    partitions: 2,
    checkpoints: () => checkpoints,
  });
  expect(tasks.flatMap(({ feeds }) => feeds.map(({ position }) => position))).toEqual([4, 5]);
  expect(row.get("records")).toBe(3 + 4);
  await log.transport.close();
});
