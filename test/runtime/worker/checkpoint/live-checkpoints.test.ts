import { expect, test } from "bun:test";
import { openState } from "../../../../connectors/memory/index.ts";
import { paceDefaults } from "../../../../runtime/engine/live/live-limits.ts";
import { type Commit, type StateStore } from "../../../../runtime/index.ts";
import { LiveCheckpoints } from "../../../../runtime/worker/checkpoint/live-checkpoints.ts";
import { failureOf } from "../../../contract/failure-of.ts";
import { barsOf, meansOf } from "../../../integrity/live-log.ts";
import { Means } from "../../../integrity/live-strategies.ts";
import { openedOf } from "../live/loop/opened.ts";

/** A store in memory, and the number of each commit that reached it. */
async function notedStore() {
  const store = await openState("memory:", AbortSignal.timeout(20_000));
  const commits: number[] = [];
  const noted: StateStore = new Proxy(store, {
    get: (target, name) => {
      if (name === "commit") {
        return async (task: string, commit: Commit, signal: AbortSignal) => {
          commits.push(commit.commit);
          return await target.commit(task, commit, signal);
        };
      }
      const member: unknown = Reflect.get(target, name);
      if (typeof member !== "function") return member;
      return (...args: unknown[]): unknown => Reflect.apply(member, target, args);
    },
  });
  return { commits, store: noted };
}

/** A thread's parts over so many bars, with checkpoints in `store`. */
async function openedWith(store: StateStore, { run = "1", count = 10 } = {}) {
  let checkpoints: LiveCheckpoints | undefined;
  const opened = await openedOf(Means, {
    symbols: ["in", "out"],
    bars: barsOf(["A"], count),
    checkpoints: (order) => {
      checkpoints = new LiveCheckpoints(store, order);
      return checkpoints;
    },
    // None is due by itself.
    more: { run, pace: { ...paceDefaults, checkpointMs: 3_600_000 } },
  });
  return { ...opened, checkpoints: checkpoints! };
}

test("a beginning is committed before anything is sent", async () => {
  const { commits, store } = await notedStore();
  const { held, log } = await openedWith(store);
  expect(commits).toEqual([1]);
  expect(held.batches).toEqual([]);
  await log.transport.close();
});

test("a commit waits until what came of its records is acknowledged (M1)", async () => {
  const { commits, store } = await notedStore();
  const { checkpoints, held, log, sends, signal, tasks, turn } = await openedWith(store);
  await turn();
  await sends.flush();
  checkpoints.take(tasks, signal);
  await Bun.sleep(20);
  expect(commits).toEqual([1]);
  held.release();
  while (commits.length < 2) await Bun.sleep(1);
  expect(await log.count("out")).toBe(7);
  await log.transport.close();
});

test("position and state are those of the moment they were taken, whatever came until the commit", async () => {
  const { commits, store } = await notedStore();
  const first = await openedWith(store);
  await first.turn();
  await first.sends.flush();
  first.checkpoints.take(first.tasks, first.signal);
  await first.log.put("in", barsOf(["A"], 5, 10));
  await first.turn();
  expect(first.tasks[0]!.feeds[0]!.reader.nextOffset).toBe(15);
  first.held.release();
  while (commits.length < 2) await Bun.sleep(1);
  await first.log.transport.close();
  // Of the eleventh bar a mean comes out: were the state later than the position, it would be late.
  const bars = barsOf(["A"], 11);
  const { held, log, sends, tasks, turn } = await openedWith(store, { count: bars.length });
  expect(tasks[0]!.feeds[0]!.position).toBe(10);
  await turn();
  held.isOpen = true;
  await sends.flush();
  await log.until("out", 1);
  expect(await log.read("out", 0)).toEqual(meansOf(bars).slice(-1));
  await log.transport.close();
});

test("one commit is on its way at a time; what would overtake it is left out (M2)", async () => {
  const { commits, store } = await notedStore();
  const { checkpoints, held, log, sends, signal, tasks, turn } = await openedWith(store);
  await turn();
  await sends.flush();
  for (let i = 0; i < 3; i += 1) checkpoints.take(tasks, signal);
  held.release();
  // Waits for the one under way, then takes its own.
  await checkpoints.commit(tasks, signal);
  expect(commits).toEqual([1, 2, 3]);
  await log.transport.close();
});

test("what could not be acknowledged is not committed, and ends the run at the next turn", async () => {
  const { commits, store } = await notedStore();
  const { checkpoints, held, log, sends, signal, tasks, turn } = await openedWith(store);
  await turn();
  await sends.flush();
  checkpoints.take(tasks, signal);
  held.fail(new Error("refused on purpose"));
  const failure = await failureOf(checkpoints.commit(tasks, signal));
  expect(failure).toMatchObject({ message: "refused on purpose" });
  expect(() => checkpoints.take(tasks, signal)).toThrow("refused on purpose");
  expect(commits).toEqual([1]);
  await log.transport.close();
});

test("a thread that is started anew goes on at the position, and counts on if it is of the run", async () => {
  const { store } = await notedStore();
  // Too few for a mean: nothing is published, so that each thread may have a log of its own.
  const count = 3;
  const first = await openedWith(store, { count });
  await first.turn();
  await first.checkpoints.commit(first.tasks, first.signal);
  await first.log.transport.close();
  for (const [run, records] of [
    ["1", 3],
    ["2", 0],
  ] as const) {
    const { log, row, tasks } = await openedWith(store, { run, count });
    expect(tasks[0]!.feeds.map(({ position }) => position)).toEqual([3]);
    expect(row.get("records")).toBe(records);
    await log.transport.close();
  }
});
