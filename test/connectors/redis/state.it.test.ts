import { expect, test } from "bun:test";
import { RedisClient } from "bun";
import * as fc from "fast-check";
import { openState } from "../../../connectors/redis/index.ts";
import { type Commit, type StateStore } from "../../../runtime/index.ts";
import { failureOf } from "../../contract/failure-of.ts";
import { acquired } from "../../contract/state-model.ts";
import { runStateStoreSuite } from "../../contract/state-store.suite.ts";
import { describeWithServers, uniqueName } from "../../harness/servers.ts";

const signal = AbortSignal.timeout(600_000);
const newTask = (): string => `${uniqueName("deployment")}/stage/0`;

/** A commit whose delta is `size` times the byte `commit`: above 16 KiB it goes another way. */
function commitOf(epoch: number, commit: number, size: number): Commit {
  const delta = new Uint8Array(size).fill(commit);
  return { epoch, commit, meta: Uint8Array.of(commit), delta, swapsBase: false };
}

const seen = (log: readonly Uint8Array[]): unknown => log.map((part) => [part[0], part.length]);

describeWithServers(["redis"], "the shared server", (started) => {
  runStateStoreSuite({
    name: "redis state",
    isDurable: true,
    histories: 150,
    async create() {
      return {
        open: async () => await openState(started().redis.url, signal),
        dispose: async () => undefined,
      };
    },
  });

  // Goal: large deltas, which are pushed before the script, keep S1 to S4. Method: random commits of
  // both sizes, in and out of order, against a list.
  test("commits of large and small deltas in any order leave what a list holds", async () => {
    const store = await openState(started().redis.url, signal);
    const step = fc.record({
      age: fc.constantFrom(0, 0, 0, 1),
      ahead: fc.constantFrom(0, 1, 1, 1, 2),
      size: fc.constantFrom(0, 1, 16_384, 16_385, 40_000),
      swapsBase: fc.constantFrom(false, false, false, true),
    });
    const property = fc.asyncProperty(
      fc.array(step, { maxLength: 25, size: "max" }),
      async (all) => {
        const task = newTask();
        await acquired(store, task, signal);
        const { epoch } = await acquired(store, task, signal);
        let last = 0;
        let log: [number, number][] = [];
        for (const { age, ahead, size, swapsBase } of all) {
          const commit = { ...commitOf(epoch - age, last + ahead, size), swapsBase };
          const want = age > 0 ? "FENCED" : ahead === 0 ? "DUP" : ahead === 1 ? "OK" : "GAP";
          expect(await store.commit(task, commit, signal)).toBe(want);
          if (want !== "OK") continue;
          last += 1;
          log = [
            ...(swapsBase ? [] : log),
            ...(size > 0 ? [[last, size] as [number, number]] : []),
          ];
        }
        const restored = await acquired(store, task, signal);
        expect(seen(restored.log)).toEqual(log);
        expect(restored.commit).toBe(last);
      },
    );
    await fc.assert(property, { numRuns: 60 });
    await store.close();
  });

  const withTask = async (
    body: (store: StateStore, client: RedisClient, task: string) => Promise<void>,
  ): Promise<void> => {
    const store = await openState(started().redis.url, signal);
    const client = new RedisClient(started().redis.url);
    try {
      await body(store, client, newTask());
    } finally {
      client.close();
      await store.close();
    }
  };

  test("what no commit counted is cut off the log by the next commit or acquire", async () => {
    await withTask(async (store, client, task) => {
      const { epoch } = await acquired(store, task, signal);
      await store.commit(task, commitOf(epoch, 1, 9), signal);
      for (const size of [9, 40_000]) {
        const log = `qmtl:ckpt:{${task}}:log`;
        await client.send("RPUSH", [log, "stray", "stray"]);
        const number = size === 9 ? 2 : 3;
        const commit = commitOf(epoch, number, size);
        const failure = await failureOf(store.commit(task, commit, signal));
        expect(failure).toMatchObject({ code: "STORE_UNAVAILABLE" });
        expect(await store.commit(task, commit, signal)).toBe("OK");
        await client.send("RPUSH", [log, "stray"]);
        const { log: restored } = await acquired(store, task, signal);
        expect(restored.map((part) => part[0])).toEqual([1, 2, 3].slice(0, number));
        // The first owner goes on, as if the task had not been taken.
        await client.send("HSET", [`qmtl:ckpt:{${task}}:meta`, "epoch", String(epoch)]);
      }
    });
  });

  // As after eviction or a hand that removed a key: a restore in part would be silently wrong.
  test.each(["meta", "base", "log"])(
    "a task whose %s is gone is STORE_CORRUPT, not a part of it",
    async (part) => {
      await withTask(async (store, client, task) => {
        const { epoch } = await acquired(store, task, signal);
        const piece = { epoch, commit: 1, index: 0, bytes: Uint8Array.of(1) };
        await store.stageBase(task, piece, signal);
        await store.commit(task, { ...commitOf(epoch, 1, 9), swapsBase: true }, signal);
        await client.send("DEL", [`qmtl:ckpt:{${task}}:${part}`]);
        const failure = await failureOf(store.acquire(task, signal));
        expect(failure).toMatchObject({ code: "STORE_CORRUPT" });
        if (part === "log") {
          const next = await failureOf(store.commit(task, commitOf(epoch, 2, 40_000), signal));
          expect(next).toMatchObject({ code: "STORE_CORRUPT" });
        }
      });
    },
  );

  test("drop() clears what is corrupt, also where meta is gone", async () => {
    await withTask(async (store, client, task) => {
      const { epoch } = await acquired(store, task, signal);
      await store.commit(task, commitOf(epoch, 1, 9), signal);
      await client.send("DEL", [`qmtl:ckpt:{${task}}:meta`]);
      await store.drop(task, signal);
      expect((await acquired(store, task, signal)).log).toEqual([]);
    });
  });
});
