import { expect, test } from "bun:test";
import { paceDefaults } from "../../../../../runtime/engine/live/live-limits.ts";
import { type Checkpoints } from "../../../../../runtime/worker/live/live-task.ts";
import { failureOf } from "../../../../contract/failure-of.ts";
import { barsOf } from "../../../../integrity/live-log.ts";
import { Means } from "../../../../integrity/live-strategies.ts";
import { openedOf } from "./opened.ts";

/** Notes by name when checkpoints are asked for. */
class NotedCheckpoints implements Checkpoints {
  readonly calls: string[] = [];

  async restore(...[task, start]: Parameters<Checkpoints["restore"]>): Promise<void> {
    for (const feed of task.feeds) feed.reader.nextOffset = await start(feed);
  }

  take(): void {
    this.calls.push("take");
  }

  async commit(): Promise<void> {
    this.calls.push("commit");
  }
}

/** Ten bars of one key, computed on and not sent yet: seven means. */
async function computed(checkpointMs: number, lingerMs = 0) {
  const checkpoints = new NotedCheckpoints();
  const opened = await openedOf(Means, {
    symbols: ["in", "out"],
    bars: barsOf(["A"], 10),
    checkpoints: () => checkpoints,
    more: { pace: { ...paceDefaults, checkpointMs, lingerMs } },
  });
  await opened.turn();
  return { ...opened, calls: checkpoints.calls };
}

test("flush() sends what a turn has brought; finish() waits for it, then commits", async () => {
  const { calls, held, log, row, sends } = await computed(3_600_000);
  await sends.flush();
  expect(held.batches).toHaveLength(1);
  expect(row.get("flushMs")).toBeGreaterThan(0);
  const finishing = sends.finish();
  await Bun.sleep(5);
  expect(calls).toEqual([]);
  held.release();
  await finishing;
  expect(calls).toEqual(["commit"]);
  expect(await log.count("out")).toBe(7);
  await log.transport.close();
});

test("with lingerMs the next outputs wait for others of their batch (O1)", async () => {
  const { held, log, sends, turn } = await computed(3_600_000, 60_000);
  held.isOpen = true;
  await sends.flush();
  expect(held.batches).toHaveLength(1);
  await log.put("in", barsOf(["A"], 2, 10));
  await turn();
  await sends.flush();
  expect(held.batches).toHaveLength(1);
  await sends.finish();
  expect(held.batches).toHaveLength(2);
  expect(await log.count("out")).toBe(9);
  await log.transport.close();
});

test("a checkpoint that is due sends what lingers: it knows where that ends (O1)", async () => {
  const { calls, held, log, sends, turn } = await computed(1, 60_000);
  held.isOpen = true;
  await sends.flush();
  await log.put("in", barsOf(["A"], 2, 10));
  await turn();
  const before = calls.length;
  while (calls.length === before) {
    await Bun.sleep(1);
    await sends.flush();
  }
  expect(held.batches).toHaveLength(2);
  await log.transport.close();
});

test("flush() takes a checkpoint when one is due, and counts it", async () => {
  const { calls, held, log, row, sends } = await computed(50);
  held.isOpen = true;
  await sends.flush();
  const early = row.get("checkpoints");
  while (row.get("checkpoints") === early) {
    await Bun.sleep(1);
    await sends.flush();
  }
  expect(calls).toHaveLength(early + 1);
  expect(row.get("checkpoints")).toBe(early + 1);
  await log.transport.close();
});

test("settle() waits for what is on its way, and neither fails nor commits (V4)", async () => {
  const { calls, held, log, sends } = await computed(3_600_000);
  await sends.flush();
  let isSettled = false;
  const settling = sends.settle().finally(() => {
    isSettled = true;
  });
  await Bun.sleep(5);
  expect(isSettled).toBe(false);
  held.fail(new Error("refused on purpose"));
  await settling;
  expect(calls).toEqual([]);
  // What was refused is not forgotten: a run that went on would end by it.
  expect(await failureOf(sends.finish())).toMatchObject({ message: "refused on purpose" });
  await log.transport.close();
});
