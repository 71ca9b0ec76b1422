/**
 * Goal: state that a coordinator keeps is to a thread what any state store is. Method: two ends of a
 * channel, a store in memory behind one, and what the other end is told.
 */
import { afterEach, expect, test } from "bun:test";
import { MessageChannel } from "node:worker_threads";
import { openState } from "../../../connectors/memory/index.ts";
import { keepState } from "../../../runtime/coordinator/state-keeper.ts";
import { KeptState } from "../../../runtime/worker/checkpoint/kept-state.ts";
import { failureOf } from "../../contract/failure-of.ts";

const signal = AbortSignal.timeout(10_000);
const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

/** A store, and the ends of as many threads as are asked for. */
async function kept(url = "memory:") {
  const store = await openState(url, signal);
  closing.push(async () => await store.close());
  return () => {
    const { port1, port2 } = new MessageChannel();
    keepState(store, port1);
    const end = new KeptState(port2);
    closing.push(() => {
      end.close();
      port1.close();
    });
    return end;
  };
}

const bytes = (text: string) => new TextEncoder().encode(text);

test("the next thread acquires what the last one committed, and shuts it out", async () => {
  const thread = await kept();
  const first = thread();
  expect(await first.acquire("d/0/1", signal)).toMatchObject({ epoch: 1, meta: undefined });
  const piece = { epoch: 1, commit: 1, index: 0, bytes: bytes("base") };
  expect(await first.stageBase("d/0/1", piece, signal)).toBe("OK");
  const commit = {
    epoch: 1,
    commit: 1,
    meta: bytes("meta"),
    delta: bytes("delta"),
    swapsBase: true,
  };
  expect(await first.commit("d/0/1", commit, signal)).toBe("OK");
  // The caller's bytes are still its own.
  expect([piece.bytes.length, commit.meta.length, commit.delta.length]).toEqual([4, 4, 5]);

  const second = thread();
  expect(await second.acquire("d/0/1", signal)).toEqual({
    epoch: 2,
    commit: 1,
    meta: bytes("meta"),
    base: [bytes("base")],
    log: [bytes("delta")],
  });
  expect(await first.commit("d/0/1", { ...commit, commit: 2 }, signal)).toBe("FENCED");
  await second.drop("d/0/1", signal);
  expect(await second.acquire("d/0/1", signal)).toMatchObject({ meta: undefined, log: [] });
});

test("an error keeps its code on the way", async () => {
  const thread = await kept("memory:?bytesMax=1024");
  const end = thread();
  await end.acquire("t", signal);
  const piece = { epoch: 1, commit: 1, index: 0, bytes: new Uint8Array(2_000) };
  expect(await failureOf(end.stageBase("t", piece, signal))).toMatchObject({
    code: "STORE_FULL",
    details: { bytesMax: 1_024 },
  });
});
