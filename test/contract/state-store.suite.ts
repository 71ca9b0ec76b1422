import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { hasCode, type StateStore } from "../../runtime/index.ts";
import { failureOf } from "./failure-of.ts";
import {
  acquired,
  bytes,
  commitOf,
  newName,
  nothing,
  readable,
  StateModel,
  type Step,
  signal,
  stage,
  timeoutMs,
} from "./state-model.ts";
import { uglyNames } from "./ugly-names.ts";

/** One store's data, kept until `dispose`; whatever server is behind it stays hidden. */
export interface StateSubject {
  /** Opens the same data, as often as asked. */
  open(): Promise<StateStore>;
  dispose(): Promise<void>;
}

/** What each state store brings; the rules below are the same for all of them. */
export interface StateCase {
  readonly name: string;
  /** True if data outlives its openers. */
  readonly isDurable: boolean;
  /** Random histories to try; fewer where a call takes long. */
  readonly histories: number;
  /** A subject without data. */
  create(): Promise<StateSubject>;
}

/** The contract of `runtime/contract/state-store.ts`. */
export function runStateStoreSuite(subject: StateCase): void {
  /** A test with a fresh subject and one opener; both are closed after. */
  const check = (
    claim: string,
    body: (store: StateStore, subject: StateSubject) => Promise<void>,
  ): void => {
    const run = async (): Promise<void> => {
      const made = await subject.create();
      try {
        const store = await made.open();
        await body(store, made);
        await store.close();
      } finally {
        await made.dispose();
      }
    };
    test(`${subject.name}: ${claim}`, run, timeoutMs);
  };

  check("a task nobody owned restores nothing; each owner's epoch is one more", async (store) => {
    const task = newName();
    const first = await acquired(store, task);
    expect(readable(first)).toEqual(nothing);
    expect(first.epoch).toBe(1);
    expect((await acquired(store, task)).epoch).toBe(2);
    expect((await acquired(store, newName())).epoch).toBe(1);
  });

  check("acquire() returns what the last OK commit left (S4)", async (store) => {
    const task = newName();
    const { epoch } = await acquired(store, task);
    expect(await store.commit(task, commitOf(epoch, 1), signal())).toBe("OK");
    expect(await store.commit(task, commitOf(epoch, 2), signal())).toBe("OK");
    const want = { commit: 2, meta: "meta 2", base: [], log: ["delta 1", "delta 2"] };
    expect(readable(await acquired(store, task))).toEqual(want);
  });

  check(
    "a commit is OK once, then DUP; one ahead is a GAP; only OK changes anything (S1)",
    async (store) => {
      const task = newName();
      const { epoch } = await acquired(store, task);
      const results: string[] = [];
      for (const number of [2, 1, 1, 3, 2, 1, 2, 5]) {
        const delta = bytes(`delta ${number} at ${results.length}`);
        results.push(await store.commit(task, commitOf(epoch, number, { delta }), signal()));
      }
      expect(results).toEqual(["GAP", "OK", "DUP", "GAP", "OK", "DUP", "DUP", "GAP"]);
      const want = { commit: 2, meta: "meta 2", base: [], log: ["delta 1 at 1", "delta 2 at 4"] };
      expect(readable(await acquired(store, task))).toEqual(want);
    },
  );

  check("an owner of another epoch is FENCED, whatever number it commits (S1)", async (store) => {
    const task = newName();
    const old = await acquired(store, task);
    expect(await store.commit(task, commitOf(old.epoch, 1), signal())).toBe("OK");
    const owner = await acquired(store, task);
    for (const number of [1, 2, 3]) {
      for (const epoch of [old.epoch, owner.epoch + 1, 0]) {
        expect(await store.commit(task, commitOf(epoch, number), signal())).toBe("FENCED");
      }
    }
    expect(await stage(store, task, [old.epoch, 2, 0, "x"])).toBe("FENCED");
    expect(await store.commit(newName(), commitOf(1, 1), signal())).toBe("FENCED");
    expect(await store.commit(task, commitOf(owner.epoch, 2), signal())).toBe("OK");
  });

  check("a base that a commit names replaces base and log, all as one (S2, S3)", async (store) => {
    const task = newName();
    const { epoch } = await acquired(store, task);
    for (const number of [1, 2]) await store.commit(task, commitOf(epoch, number), signal());
    // Pieces come in any order, and twice after a lost reply.
    for (const [index, text] of [
      [1, "b"],
      [0, "a"],
      [1, "b"],
      [2, "c"],
      [0, "a"],
    ] as const) {
      expect(await stage(store, task, [epoch, 3, index, text])).toBe("OK");
    }
    expect(await store.commit(task, commitOf(epoch, 3, { swapsBase: true }), signal())).toBe("OK");
    expect(await store.commit(task, commitOf(epoch, 4), signal())).toBe("OK");
    const want = { commit: 4, meta: "meta 4", base: ["a", "b", "c"], log: ["delta 3", "delta 4"] };
    expect(readable(await acquired(store, task))).toEqual(want);
  });

  check("the next base drops the one before it and the log before its commit", async (store) => {
    const task = newName();
    const { epoch } = await acquired(store, task);
    await stage(store, task, [epoch, 1, 0, "old"]);
    await stage(store, task, [epoch, 1, 1, "older"]);
    await store.commit(task, commitOf(epoch, 1, { swapsBase: true }), signal());
    await store.commit(task, commitOf(epoch, 2), signal());
    await stage(store, task, [epoch, 3, 0, "new"]);
    const swap = commitOf(epoch, 3, { swapsBase: true, delta: new Uint8Array(0) });
    expect(await store.commit(task, swap, signal())).toBe("OK");
    const want = { commit: 3, meta: "meta 3", base: ["new"], log: [] };
    expect(readable(await acquired(store, task))).toEqual(want);
  });

  check("a base that no commit names is dropped by the next acquire (S3)", async (store) => {
    const task = newName();
    const old = await acquired(store, task);
    await store.commit(task, commitOf(old.epoch, 1), signal());
    for (const index of [0, 1, 2]) await stage(store, task, [old.epoch, 2, index, "stale"]);
    const owner = await acquired(store, task);
    expect(readable(owner)).toEqual({ commit: 1, meta: "meta 1", base: [], log: ["delta 1"] });
    await stage(store, task, [owner.epoch, 2, 0, "fresh"]);
    await store.commit(task, commitOf(owner.epoch, 2, { swapsBase: true }), signal());
    expect((await acquired(store, task)).base).toEqual([bytes("fresh")]);
  });

  check(
    "a base that is staged ahead survives the swap of the one before it (S3)",
    async (store) => {
      const task = newName();
      const { epoch } = await acquired(store, task);
      for (const number of [2, 1]) await stage(store, task, [epoch, number, 0, `base ${number}`]);
      for (const number of [1, 2]) {
        const swap = commitOf(epoch, number, { swapsBase: true });
        expect(await store.commit(task, swap, signal())).toBe("OK");
      }
      expect(readable(await acquired(store, task))).toMatchObject({ base: ["base 2"] });
    },
  );

  check(
    "a piece repeated after its commit went through leaves the base in use alone",
    async (store) => {
      const task = newName();
      const { epoch } = await acquired(store, task);
      await stage(store, task, [epoch, 1, 0, "base"]);
      const swap = commitOf(epoch, 1, { swapsBase: true });
      expect(await store.commit(task, swap, signal())).toBe("OK");
      expect(await stage(store, task, [epoch, 1, 0, "base"])).toBe("OK");
      expect(await stage(store, task, [epoch, 1, 1, "late"])).toBe("OK");
      expect(await store.commit(task, swap, signal())).toBe("DUP");
      const restored = await acquired(store, task);
      expect(readable(restored)).toEqual({
        commit: 1,
        meta: "meta 1",
        base: ["base"],
        log: ["delta 1"],
      });
    },
  );

  check("a staged base is not seen before a commit names it (S2)", async (store) => {
    const task = newName();
    const { epoch } = await acquired(store, task);
    await stage(store, task, [epoch, 1, 0, "staged"]);
    await store.commit(task, commitOf(epoch, 1), signal());
    const want = { commit: 1, meta: "meta 1", base: [], log: ["delta 1"] };
    expect(readable(await acquired(store, task))).toEqual(want);
  });

  check("bytes come back exactly: all values, none, and 3 MB in pieces (S4)", async (store) => {
    const task = newName();
    const { epoch } = await acquired(store, task);
    const all = Uint8Array.from({ length: 256 }, (_, i) => i);
    const large = crypto.getRandomValues(new Uint8Array(65_536));
    const pieces = Array.from({ length: 48 }, (_, i) => Uint8Array.from(large, (byte) => byte ^ i));
    for (const [index, piece] of pieces.entries()) {
      await store.stageBase(task, { epoch, commit: 1, index, bytes: piece }, signal());
    }
    const first = commitOf(epoch, 1, { swapsBase: true, meta: all, delta: all });
    expect(await store.commit(task, first, signal())).toBe("OK");
    const restored = await acquired(store, task);
    expect(restored.meta).toEqual(all);
    expect(restored.log).toEqual([all]);
    expect(restored.base.length).toBe(48);
    expect(Bun.hash(Buffer.concat(restored.base))).toBe(Bun.hash(Buffer.concat(pieces)));
    const none = commitOf(restored.epoch, 2, { meta: new Uint8Array(0) });
    expect(await store.commit(task, none, signal())).toBe("OK");
    expect((await acquired(store, task)).meta).toEqual(new Uint8Array(0));
  });

  check("the caller's bytes are its own again when a call returns", async (store) => {
    const task = newName();
    const { epoch } = await acquired(store, task);
    const buffer = bytes("before");
    await store.stageBase(task, { epoch, commit: 1, index: 0, bytes: buffer }, signal());
    const commit = { epoch, commit: 1, meta: buffer, delta: buffer, swapsBase: true };
    await store.commit(task, commit, signal());
    await store.putLatest([{ nodeId: task, interval: "1m", value: buffer, ts: 1 }], signal());
    await store.appendHistory(
      [{ nodeId: task, interval: "1m", values: [buffer], keep: 9 }],
      signal(),
    );
    buffer.set(bytes("after!"));
    const restored = await acquired(store, task);
    const want = { commit: 1, meta: "before", base: ["before"], log: ["before"] };
    expect(readable(restored)).toEqual(want);
    restored.meta?.fill(0);
    restored.log[0]?.fill(0);
    expect(readable(await acquired(store, task))).toEqual(want);
    expect((await store.getLatest(task, "1m", signal()))?.value).toEqual(bytes("before"));
    expect(await store.getHistory(task, "1m", 9, signal())).toEqual([bytes("before")]);
  });

  check("drop() removes a task's state and fences the owners it had", async (store) => {
    const [task, other] = [newName(), newName()];
    const { epoch } = await acquired(store, task);
    await acquired(store, other);
    await store.commit(other, commitOf(1, 1), signal());
    await stage(store, task, [epoch, 1, 0, "base"]);
    await store.commit(task, commitOf(epoch, 1, { swapsBase: true }), signal());
    await stage(store, task, [epoch, 2, 0, "staged"]);
    await store.drop(task, signal());
    await store.drop(task, signal());
    await store.drop(newName(), signal());
    for (const number of [1, 2]) {
      expect(await store.commit(task, commitOf(epoch, number), signal())).toBe("FENCED");
    }
    const next = await acquired(store, task);
    expect(readable(next)).toEqual(nothing);
    expect(next.epoch).toBeGreaterThan(epoch);
    expect(await store.commit(task, commitOf(epoch, 1), signal())).toBe("FENCED");
    expect(readable(await acquired(store, other))).toMatchObject({ commit: 1 });
  });

  check("two openers see one state; the one that acquired last owns it", async (store, fresh) => {
    const task = newName();
    const second = await fresh.open();
    const old = await acquired(store, task);
    await store.commit(task, commitOf(old.epoch, 1), signal());
    const owner = await acquired(second, task);
    expect(readable(owner)).toMatchObject({ commit: 1, log: ["delta 1"] });
    expect(await store.commit(task, commitOf(old.epoch, 2), signal())).toBe("FENCED");
    expect(await second.commit(task, commitOf(owner.epoch, 2), signal())).toBe("OK");
    await second.close();
  });

  check("names with any characters keep tasks and nodes apart", async (store) => {
    const names = uglyNames.map((name) => `${name}/${crypto.randomUUID()}`);
    for (const name of names) {
      const { epoch } = await acquired(store, name);
      await store.commit(name, commitOf(epoch, 1, { meta: bytes(name) }), signal());
      await store.putLatest(
        [{ nodeId: name, interval: "1m", value: bytes(name), ts: 5 }],
        signal(),
      );
      await store.appendHistory(
        [{ nodeId: name, interval: "1m", values: [bytes(name)], keep: 2 }],
        signal(),
      );
    }
    for (const name of names) {
      expect(readable(await acquired(store, name))).toMatchObject({ meta: name });
      const latest = await store.getLatest(name, "1m", signal());
      expect(latest).toEqual({ nodeId: name, interval: "1m", value: bytes(name), ts: 5 });
      expect(await store.getHistory(name, "1m", 9, signal())).toEqual([bytes(name)]);
      expect(await store.getLatest(name, "5m", signal())).toBeUndefined();
      expect(await store.getHistory(name, "5m", 9, signal())).toEqual([]);
    }
  });

  check("the latest value is the one of the newest ts, whichever came last", async (store) => {
    const nodeId = newName();
    const put = async (ts: number, text: string): Promise<void> =>
      await store.putLatest([{ nodeId, interval: "1m", value: bytes(text), ts }], signal());
    expect(await store.getLatest(nodeId, "1m", signal())).toBeUndefined();
    const text = async (): Promise<string> =>
      new TextDecoder().decode((await store.getLatest(nodeId, "1m", signal()))?.value);
    await put(1_704_067_200_000, "a");
    await put(1_704_067_140_000, "older");
    expect(await text()).toBe("a");
    await put(1_704_067_200_000, "same ts");
    expect(await text()).toBe("same ts");
    await put(1_704_067_260_000, "newer");
    expect(await text()).toBe("newer");
    await store.putLatest([], signal());
    const both = [2, 1].map((n) => ({
      nodeId,
      interval: "1h",
      value: bytes(`${n}`),
      ts: 1_704_067_200_000 + n,
    }));
    await store.putLatest(both, signal());
    expect((await store.getLatest(nodeId, "1h", signal()))?.value).toEqual(bytes("2"));
  });

  check("node history is newest first and keeps the newest `keep`", async (store) => {
    const nodeId = newName();
    const append = async (from: number, to: number, keep: number): Promise<void> => {
      const values = Array.from({ length: to - from }, (_, i) => bytes(`record ${from + i}`));
      await store.appendHistory([{ nodeId, interval: "1m", values, keep }], signal());
    };
    const read = async (count: number): Promise<string[]> =>
      (await store.getHistory(nodeId, "1m", count, signal())).map((value) =>
        new TextDecoder().decode(value).slice("record ".length),
      );
    await append(0, 3, 5);
    expect(await read(10)).toEqual(["2", "1", "0"]);
    await append(3, 7, 5);
    expect(await read(10)).toEqual(["6", "5", "4", "3", "2"]);
    expect(await read(2)).toEqual(["6", "5"]);
    await append(7, 107, 3);
    expect(await read(10)).toEqual(["106", "105", "104"]);
    await append(107, 107, 3);
    await store.appendHistory([], signal());
    expect(await read(10)).toEqual(["106", "105", "104"]);
  });

  check("an append repeated after a lost reply leaves each record once", async (store) => {
    const nodeId = newName();
    const append = { nodeId, interval: "1m", values: [bytes("a"), bytes("b")], keep: 10 };
    await store.appendHistory([append], signal());
    await store.appendHistory([append], signal());
    await store.appendHistory([{ ...append, values: [bytes("b"), bytes("c")] }], signal());
    const want = [bytes("c"), bytes("b"), bytes("a")];
    expect(await store.getHistory(nodeId, "1m", 10, signal())).toEqual(want);
  });

  check("an append longer than `keep`, repeated, leaves its newest and no other", async (store) => {
    const nodeId = newName();
    const values = Array.from({ length: 7 }, (_, i) => bytes(`record ${i}`));
    const newest = values.slice(-3).toReversed();
    for (let times = 0; times < 3; times += 1) {
      await store.appendHistory([{ nodeId, interval: "1m", values, keep: 3 }], signal());
      expect(await store.getHistory(nodeId, "1m", 10, signal())).toEqual(newest);
    }
    const next = { nodeId, interval: "1m", values: [...values, bytes("record 7")], keep: 3 };
    await store.appendHistory([next, next], signal());
    const want = [bytes("record 7"), ...newest.slice(0, 2)];
    expect(await store.getHistory(nodeId, "1m", 10, signal())).toEqual(want);
  });

  check("commits of many tasks at once come each to its own result (S1)", async (store) => {
    const tasks = Array.from({ length: 8 }, newName);
    for (const task of tasks) await store.acquire(task, signal());
    const [fenced, ahead] = [tasks[2], tasks[5]];
    const reason = new Error("enough");
    const stopped = AbortSignal.abort(reason);
    const commits = tasks.map(async (task, i) => {
      const commit = commitOf(task === fenced ? 9 : 1, task === ahead ? 2 : 1);
      return await store.commit(task, commit, i === 7 ? stopped : signal()).catch(String);
    });
    const again = store.commit(tasks[0]!, commitOf(1, 2), signal());
    const results = await Promise.all(commits);
    expect(results.slice(0, 7)).toEqual(["OK", "OK", "FENCED", "OK", "OK", "GAP", "OK"]);
    expect(results[7]).toBe(String(reason));
    expect(await again).toBe("OK");
    const logs = tasks.slice(0, 7).map(async (task) => (await acquired(store, task)).log.length);
    expect(await Promise.all(logs)).toEqual([2, 1, 0, 1, 1, 0, 1]);
  });

  check("an aborted call rejects with the signal's reason and changes nothing", async (store) => {
    const task = newName();
    const { epoch } = await acquired(store, task);
    const reason = new Error("enough");
    const aborted = AbortSignal.abort(reason);
    for (const call of callsOf(store, task, epoch, aborted)) {
      expect(await failureOf(call)).toBe(reason);
    }
    const after = await acquired(store, task);
    expect(readable(after)).toEqual(nothing);
    expect(after.epoch).toBe(epoch + 1);
    expect(await store.getLatest(task, "1m", signal())).toBeUndefined();
  });

  check("close() may be called twice; every call after it gives STORE_CLOSED", async (store) => {
    await store.close();
    await store.close();
    for (const call of callsOf(store, newName(), 1, signal())) {
      expect(hasCode(await failureOf(call), "STORE_CLOSED")).toBe(true);
    }
  });

  if (subject.isDurable) {
    check("state is there when the store is opened again", async (store, fresh) => {
      const task = newName();
      const { epoch } = await acquired(store, task);
      await stage(store, task, [epoch, 1, 0, "base"]);
      await store.commit(task, commitOf(epoch, 1, { swapsBase: true }), signal());
      await store.commit(task, commitOf(epoch, 2), signal());
      await store.close();
      const again = await fresh.open();
      const restored = await acquired(again, task);
      expect(restored.epoch).toBe(epoch + 1);
      const want = { commit: 2, meta: "meta 2", base: ["base"], log: ["delta 1", "delta 2"] };
      expect(readable(restored)).toEqual(want);
      await again.close();
    });
  }

  // Goal: S1 to S4 for every history. Method: random calls against the model below.
  check("random acquires, pieces and commits leave what the model holds", async (store) => {
    // Mostly what an owner in good order does, so that histories get somewhere.
    const ahead = fc.constantFrom(-1, 0, 1, 1, 1, 1, 2, 2);
    const age = fc.constantFrom(0, 0, 0, 0, 0, 1);
    const step: fc.Arbitrary<Step> = fc.oneof(
      fc.record({ kind: fc.constant("acquire" as const) }),
      fc.record({ kind: fc.constant("stage" as const), age, ahead, index: fc.nat(2) }),
      fc.record({ kind: fc.constant("commit" as const), age, ahead, swapsBase: fc.boolean() }),
    );
    const property = fc.asyncProperty(
      fc.array(step, { maxLength: 40, size: "max" }),
      async (steps) => {
        const task = newName();
        const { epoch } = await acquired(store, task);
        const model = new StateModel(epoch);
        for (const one of steps) await model.check(store, task, one);
        expect(readable(await acquired(store, task))).toEqual(model.state);
      },
    );
    await fc.assert(property, { numRuns: subject.histories });
  });
}

/** Each call of the port once. */
function callsOf(
  store: StateStore,
  task: string,
  epoch: number,
  on: AbortSignal,
): readonly Promise<unknown>[] {
  const value = bytes("x");
  return [
    store.acquire(task, on),
    store.stageBase(task, { epoch, commit: 1, index: 0, bytes: value }, on),
    store.commit(task, commitOf(epoch, 1), on),
    store.drop(task, on),
    store.putLatest([{ nodeId: task, interval: "1m", value, ts: 1 }], on),
    store.getLatest(task, "1m", on),
    store.appendHistory([{ nodeId: task, interval: "1m", values: [value], keep: 1 }], on),
    store.getHistory(task, "1m", 1, on),
  ];
}
