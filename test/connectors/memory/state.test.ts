import { expect, test } from "bun:test";
import { openState } from "../../../connectors/memory/index.ts";
import { failureOf } from "../../contract/failure-of.ts";
import { runStateStoreSuite } from "../../contract/state-store.suite.ts";

const signal = AbortSignal.timeout(60_000);

runStateStoreSuite({
  name: "memory state",
  isDurable: false,
  histories: 100,
  async create() {
    const url = `memory:${crypto.randomUUID()}`;
    // Named data lives as long as somebody has it open.
    const holder = await openState(url, signal);
    return {
      open: async () => await openState(url, signal),
      dispose: async () => await holder.close(),
    };
  },
});

test("memory: without a name is fresh with each opener, and warns that it ends", async () => {
  const [a, b] = [await openState("memory:", signal), await openState("memory:", signal)];
  expect((await a.acquire("task", signal)).epoch).toBe(1);
  expect((await b.acquire("task", signal)).epoch).toBe(1);
  expect(a.warnings.length).toBe(1);
});

test("a write beyond bytesMax gives STORE_FULL, and what is dropped makes room", async () => {
  const store = await openState("memory:?bytesMax=1024", signal);
  const { epoch } = await store.acquire("task", signal);
  const half = new Uint8Array(600);
  const none = new Uint8Array(0);
  const commit = { epoch, commit: 1, meta: none, delta: half, swapsBase: false };
  expect(await store.commit("task", commit, signal)).toBe("OK");
  const second = { ...commit, commit: 2 };
  const failure = await failureOf(store.commit("task", second, signal));
  expect(failure).toMatchObject({ code: "STORE_FULL", details: { bytes: 1_200 } });
  // A commit that swaps the base drops the log before it, so it fits.
  expect(await store.commit("task", { ...second, swapsBase: true }, signal)).toBe("OK");
  await store.drop("task", signal);
  const latest = { nodeId: "n", interval: "1m", value: new Uint8Array(1_000), ts: 1 };
  await store.putLatest([latest], signal);
  expect((await store.getLatest("n", "1m", signal))?.value.length).toBe(1_000);
});
