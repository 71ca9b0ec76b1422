import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { openHistory, openState } from "../../../connectors/sqlite/index.ts";
import { failureOf } from "../../contract/failure-of.ts";
import { acquired } from "../../contract/state-model.ts";
import { runStateStoreSuite } from "../../contract/state-store.suite.ts";

const signal = AbortSignal.timeout(60_000);
const newDirectory = (): string => mkdtempSync(join(tmpdir(), "qmtl-state-"));

runStateStoreSuite({
  name: "sqlite state",
  isDurable: true,
  histories: 50,
  async create() {
    const directory = newDirectory();
    const url = `sqlite:${join(directory, "deep", "state.db")}`;
    return {
      open: async () => await openState(url, signal),
      dispose: async () => rmSync(directory, { recursive: true }),
    };
  },
});

test("a history store is not taken for a state store, nor the other way round", async () => {
  const directory = newDirectory();
  const url = `sqlite:${join(directory, "store.db")}`;
  const write = { mode: "write", isSimulated: false } as const;
  const history = await openHistory(url, write, signal);
  expect(await failureOf(openState(url, signal))).toMatchObject({ code: "STORE_VERSION_UNKNOWN" });
  await history.close();
  const state = await openState(`${url}.state`, signal);
  const failure = await failureOf(openHistory(`${url}.state`, write, signal));
  expect(failure).toMatchObject({ code: "STORE_VERSION_UNKNOWN" });
  await state.close();
  rmSync(directory, { recursive: true });
});

test("a commit that the store has no room for leaves those made with it alone", async () => {
  const directory = newDirectory();
  const store = await openState(`sqlite:${join(directory, "s.db")}?bytesMax=1048576`, signal);
  const tasks = ["a/0/0", "b/0/0", "c/0/0"];
  for (const task of tasks) await store.acquire(task, signal);
  const commits = tasks.map(async (task) => {
    const delta = new Uint8Array(task === "b/0/0" ? 2 ** 21 : 100);
    const commit = { epoch: 1, commit: 1, meta: new Uint8Array(0), delta, swapsBase: false };
    return await store.commit(task, commit, signal);
  });
  const results = await Promise.allSettled(commits);
  expect(results.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
  expect(results[1]).toMatchObject({ reason: { code: "STORE_FULL" } });
  const sizes = tasks.map(async (task) => (await acquired(store, task, signal)).log.length);
  expect(await Promise.all(sizes)).toEqual([1, 0, 1]);
  await store.close();
  rmSync(directory, { recursive: true });
});

// The last statement of a commit, which gives state its position, is made to fail.
test("a commit that breaks off midway leaves state and position as they were", async () => {
  const directory = newDirectory();
  const path = join(directory, "state.db");
  const store = await openState(`sqlite:${path}`, signal);
  const { epoch } = await store.acquire("a/0/0", signal);
  const one = (commit: number) => {
    const bytes = Uint8Array.of(commit);
    return { epoch, commit, meta: bytes, delta: bytes, swapsBase: commit === 2 };
  };
  await store.stageBase("a/0/0", { epoch, commit: 2, index: 0, bytes: Uint8Array.of(9) }, signal);
  expect(await store.commit("a/0/0", one(1), signal)).toBe("OK");
  const other = new Database(path);
  other.run("CREATE TRIGGER broken BEFORE UPDATE ON task BEGIN SELECT RAISE(ABORT, 'broken'); END");
  expect(String(await failureOf(store.commit("a/0/0", one(2), signal)))).toContain("broken");
  other.run("DROP TRIGGER broken");
  other.close();
  const { commit, meta, base, log } = await acquired(store, "a/0/0", signal);
  expect({ commit, meta, base, log }).toEqual({
    commit: 1,
    meta: Uint8Array.of(1),
    base: [],
    log: [Uint8Array.of(1)],
  });
  await store.close();
  rmSync(directory, { recursive: true });
});

test("close() makes the commits that were called before it", async () => {
  const directory = newDirectory();
  const url = `sqlite:${join(directory, "s.db")}`;
  const store = await openState(url, signal);
  await store.acquire("a/0/0", signal);
  const bytes = Uint8Array.of(7);
  const commit = { epoch: 1, commit: 1, meta: bytes, delta: bytes, swapsBase: false };
  const committing = store.commit("a/0/0", commit, signal);
  await store.close();
  expect(await committing).toBe("OK");
  const again = await openState(url, signal);
  expect(await acquired(again, "a/0/0", signal)).toMatchObject({ commit: 1, log: [bytes] });
  await again.close();
  rmSync(directory, { recursive: true });
});

// Goal: many threads may open one new file at once. Method: eight workers race to make it, each
// commits to a task of its own, and all commits are there after.
test("eight threads open a new store at once and commit to it", async () => {
  const directory = newDirectory();
  const url = `sqlite:${join(directory, "state.db")}`;
  const door = new URL("../../../connectors/sqlite/index.ts", import.meta.url).href;
  const code = `
    const { parentPort, workerData } = require("node:worker_threads");
    const { url, task } = workerData;
    const signal = AbortSignal.timeout(30_000);
    const run = async () => {
      const { openState } = await import(${JSON.stringify(door)});
      const store = await openState(url, signal);
      const { epoch } = await store.acquire(task, signal);
      const bytes = new TextEncoder().encode(task);
      for (let commit = 1; commit <= 20; commit += 1) {
        const one = { epoch, commit, meta: bytes, delta: bytes, swapsBase: false };
        const result = await store.commit(task, one, signal);
        if (result !== "OK") return result;
      }
      await store.close();
      return "OK";
    };
    run().catch(String).then((answer) => parentPort.postMessage(answer));`;
  const tasks = Array.from({ length: 8 }, (_, i) => `d/s/${i}`);
  const answers = tasks.map(async (task) => {
    const worker = new Worker(code, { eval: true, workerData: { url, task } });
    const [answer] = (await once(worker, "message")) as unknown[];
    await worker.terminate();
    return answer;
  });
  expect(await Promise.all(answers)).toEqual(tasks.map(() => "OK"));
  const store = await openState(url, signal);
  for (const task of tasks) {
    const restored = await acquired(store, task, signal);
    expect([restored.epoch, restored.commit, restored.log.length]).toEqual([2, 20, 20]);
  }
  await store.close();
  rmSync(directory, { recursive: true });
}, 30_000);
