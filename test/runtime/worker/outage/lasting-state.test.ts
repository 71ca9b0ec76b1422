import { expect, test } from "bun:test";
import { connectors } from "../../../../connectors/index.ts";
import { openState } from "../../../../connectors/memory/index.ts";
import { type CommitResult, QmtlError } from "../../../../runtime/index.ts";
import { LastingState, openLastingState } from "../../../../runtime/worker/outage/lasting-state.ts";

const signal = AbortSignal.timeout(10_000);
const url = "redis://user:secret@127.0.0.1:6379";
const part = { meta: new Uint8Array(1), delta: new Uint8Array(1), swapsBase: false };

test("a store that is down in mid-use is named in one line, and the commit goes through when it is back", async () => {
  const store = await openState("memory:", signal);
  const real = store.commit.bind(store);
  const results: CommitResult[] = [];
  let tries = 0;
  store.commit = async (...given): Promise<CommitResult> => {
    tries += 1;
    if (tries === 1) throw new QmtlError("STORE_UNAVAILABLE", "Cannot reach it: refused");
    results.push(await real(...given));
    // Its reply is lost.
    if (tries === 2) throw new QmtlError("STORE_UNAVAILABLE", "Cannot reach it: no reply");
    return results.at(-1)!;
  };
  const notes: string[] = [];
  const state = new LastingState(store, url, (text) => notes.push(text));
  const { epoch } = await state.acquire("a/0/0", signal);
  expect(await state.commit("a/0/0", { epoch, commit: 1, ...part }, signal)).toBe("DUP");
  expect(results).toEqual(["OK", "DUP"]);
  expect(notes).toEqual([
    "Waiting for redis://***@127.0.0.1:6379, and trying again: Cannot reach it: refused",
    "redis://***@127.0.0.1:6379 is up: going on",
  ]);
  await state.close();
});

test("a store that is up is opened and used without a word", async () => {
  const notes: string[] = [];
  const ref = connectors.refOf("state", "memory:");
  const state = await openLastingState(ref, (text) => notes.push(text), signal);
  const { epoch } = await state.acquire("b/0/0", signal);
  const piece = { epoch, commit: 1, index: 0, bytes: new Uint8Array(1) };
  expect(await state.stageBase("b/0/0", piece, signal)).toBe("OK");
  const commit = { epoch, commit: 1, ...part, swapsBase: true };
  expect(await state.commit("b/0/0", commit, signal)).toBe("OK");
  expect((await state.acquire("b/0/0", signal)).commit).toBe(1);
  await state.drop("b/0/0", signal);
  expect((await state.acquire("b/0/0", signal)).commit).toBe(0);
  expect(notes).toEqual([]);
  await state.close();
});
