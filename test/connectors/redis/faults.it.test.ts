import { expect, test } from "bun:test";
import { RedisClient } from "bun";
import { openState } from "../../../connectors/redis/index.ts";
import { type Server, startRedis } from "../../../runtime/cli/servers/index.ts";
import { type Commit, hasCode, type StateStore } from "../../../runtime/index.ts";
import { failureOf } from "../../contract/failure-of.ts";
import { acquired } from "../../contract/state-model.ts";
import { killRounds } from "../../harness/kill-rounds.ts";
import { describeWithServers, uniqueName } from "../../harness/servers.ts";
import { TcpProxy } from "../../harness/tcp-proxy.ts";

const signal = AbortSignal.timeout(600_000);
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const textOf = (part: Uint8Array): string => new TextDecoder().decode(part);
const newTask = (): string => `${uniqueName("deployment")}/stage/0`;

function commitOf(epoch: number, commit: number): Commit {
  const [meta, delta] = [bytes(`meta ${commit}`), bytes(`delta ${commit}`)];
  return { epoch, commit, meta, delta, swapsBase: false };
}

/** A store behind a proxy, and a second one that sees the same server without it. */
async function throughProxy(
  server: Server,
  settings = "",
): Promise<{ proxy: TcpProxy; store: StateStore; direct: StateStore } & AsyncDisposable> {
  const proxy = await TcpProxy.start(server.port);
  const store = await openState(`redis://127.0.0.1:${proxy.port}${settings}`, signal);
  const direct = await openState(server.url, signal);
  return {
    proxy,
    store,
    direct,
    async [Symbol.asyncDispose]() {
      await store.close();
      await direct.close();
      await proxy.close();
    },
  };
}

/** Commits, kills the server while commit `killAt` is under way, and returns the one that failed. */
async function commitUntilKilled(
  store: StateStore,
  run: {
    readonly redis: Server;
    readonly task: string;
    readonly epoch: number;
    readonly acknowledged: number;
    readonly killAt: number;
  },
): Promise<Commit> {
  const { redis, task, epoch, killAt } = run;
  let killed: Promise<void> | undefined;
  for (let number = run.acknowledged + 1; ; number += 1) {
    const swapsBase = number % 40 === 0 && killed === undefined;
    const commit = { ...commitOf(epoch, number), swapsBase };
    try {
      if (swapsBase) {
        const piece = { epoch, commit: number, index: 0, bytes: bytes(`base ${number}`) };
        expect(await store.stageBase(task, piece, signal)).toBe("OK");
      }
      const running = store.commit(task, commit, signal);
      if (number >= killAt) killed ??= redis.kill9();
      expect(await running).toBe("OK");
    } catch (error) {
      if (!hasCode(error, "STORE_UNAVAILABLE")) throw error;
      await killed;
      return commit;
    }
  }
}

describeWithServers(["redis"], "redis:// when the network fails", (started) => {
  test("a commit whose reply is lost says so; the same commit again is DUP and counts once", async () => {
    await using link = await throughProxy(started().redis);
    const { proxy, store, direct } = link;
    const task = newTask();
    const { epoch } = await acquired(store, task, signal);
    expect(await store.commit(task, commitOf(epoch, 1), signal)).toBe("OK");
    proxy.set({ replies: "cut" });
    const failure = await failureOf(store.commit(task, commitOf(epoch, 2), signal));
    expect(failure).toMatchObject({
      code: "STORE_UNAVAILABLE",
      details: { isOutcomeUnknown: true },
    });
    proxy.heal();
    expect(await store.commit(task, commitOf(epoch, 2), signal)).toBe("DUP");
    expect(await store.commit(task, commitOf(epoch, 3), signal)).toBe("OK");
    const restored = await acquired(direct, task, signal);
    expect(restored.commit).toBe(3);
    expect(restored.log.map(textOf)).toEqual(["delta 1", "delta 2", "delta 3"]);
  });

  // Goal: all but commit try again by themselves, and what they do twice counts once. Method: the
  // reply of each is lost once, on a new connection each time.
  test("every other write goes on by itself after a lost reply, and counts once", async () => {
    await using link = await throughProxy(started().redis);
    const { proxy, store, direct } = link;
    const task = newTask();
    const losingReplies = async <Result>(call: () => Promise<Result>): Promise<Result> => {
      const { lostReplyBytes } = proxy.counts;
      proxy.set({ replies: "cut" });
      const running = call();
      await proxy.until((counts) => counts.lostReplyBytes > lostReplyBytes);
      proxy.heal();
      return await running;
    };
    const { epoch } = await losingReplies(async () => await acquired(store, task, signal));
    expect(epoch).toBe(2);
    const piece = { epoch, commit: 1, index: 0, bytes: bytes("base") };
    expect(await losingReplies(async () => await store.stageBase(task, piece, signal))).toBe("OK");
    const swap = { ...commitOf(epoch, 1), swapsBase: true };
    expect(await store.commit(task, swap, signal)).toBe("OK");
    const node = { nodeId: task, interval: "1m" };
    const latest = { ...node, value: bytes("v"), ts: 5 };
    await losingReplies(async () => await store.putLatest([latest], signal));
    const append = { ...node, values: [bytes("a"), bytes("b"), bytes("c")], keep: 2 };
    await losingReplies(async () => await store.appendHistory([append], signal));
    expect((await acquired(direct, task, signal)).base.map(textOf)).toEqual(["base"]);
    expect((await direct.getLatest(task, "1m", signal))?.ts).toBe(5);
    expect((await direct.getHistory(task, "1m", 9, signal)).map(textOf)).toEqual(["c", "b"]);
    await losingReplies(async () => await store.drop(task, signal));
    expect((await acquired(direct, task, signal)).base).toEqual([]);
  });

  test("replies that never come end a call in its time, and the next call gets a new connection", async () => {
    await using link = await throughProxy(started().redis, "?commandTimeoutMs=200&retryMsMax=500");
    const { proxy, store } = link;
    const task = newTask();
    const { epoch } = await acquired(store, task, signal);
    proxy.set({ replies: "drop" });
    const since = performance.now();
    const commit = await failureOf(store.commit(task, commitOf(epoch, 1), signal));
    expect(commit).toMatchObject({ code: "STORE_UNAVAILABLE" });
    const read = await failureOf(store.getLatest(task, "1m", signal));
    expect(read).toMatchObject({ code: "STORE_UNAVAILABLE" });
    expect(performance.now() - since).toBeLessThan(3_000);
    proxy.heal();
    expect(await store.commit(task, commitOf(epoch, 1), signal)).toBe("DUP");
  });

  test("a half-open connection, which nobody is told of, is left for a new one", async () => {
    await using link = await throughProxy(started().redis, "?commandTimeoutMs=200");
    const { proxy, store } = link;
    const task = newTask();
    await acquired(store, task, signal);
    proxy.halfOpen();
    expect((await acquired(store, task, signal)).epoch).toBe(2);
  });

  test("scripts that the server has forgotten are sent to it again, in a batch too", async () => {
    const store = await openState(started().redis.url, signal);
    const admin = new RedisClient(started().redis.url);
    const task = newTask();
    const { epoch } = await acquired(store, task, signal);
    await admin.send("SCRIPT", ["FLUSH"]);
    expect(await store.commit(task, commitOf(epoch, 1), signal)).toBe("OK");
    await admin.send("SCRIPT", ["FLUSH"]);
    const node = (i: number): string => `${task} ${i}`;
    const values = Array.from({ length: 2_500 }, (_, i) => ({
      nodeId: node(i),
      interval: "1m",
      value: bytes(`${i}`),
      ts: i,
    }));
    await store.putLatest(values, signal);
    for (const i of [0, 999, 1_000, 2_499]) {
      expect((await store.getLatest(node(i), "1m", signal))?.ts).toBe(i);
    }
    admin.close();
    await store.close();
  });

  test("a base and a log larger than one reply come back whole and in order", async () => {
    const store = await openState(started().redis.url, signal);
    const task = newTask();
    const { epoch } = await acquired(store, task, signal);
    const large = (fill: number): Uint8Array => new Uint8Array(3 * 2 ** 20).fill(fill);
    for (const index of [2, 0, 1, 10]) {
      const piece = { epoch, commit: 1, index, bytes: large(index) };
      await store.stageBase(task, piece, signal);
    }
    for (const commit of [1, 2, 3]) {
      const one = { ...commitOf(epoch, commit), delta: large(100 + commit) };
      await store.commit(task, { ...one, swapsBase: commit === 1 }, signal);
    }
    const { base, log } = await acquired(store, task, signal);
    const seen = (parts: readonly Uint8Array[]): unknown => parts.map((p) => [p.length, p[99]]);
    const size = 3 * 2 ** 20;
    expect(seen(base)).toEqual([0, 1, 2, 10].map((fill) => [size, fill]));
    expect(seen(log)).toEqual([101, 102, 103].map((fill) => [size, fill]));
    await store.drop(task, signal);
    await store.close();
  });
});

describeWithServers(["redis"], "redis:// when the server fails", () => {
  test("a frozen server gives STORE_UNAVAILABLE in time, an abort ends the wait, and thawed it goes on", async () => {
    await using redis = await startRedis();
    const store = await openState(`${redis.url}?commandTimeoutMs=200&retryMsMax=400`, signal);
    const task = newTask();
    const { epoch } = await acquired(store, task, signal);
    redis.freeze();
    const since = performance.now();
    const calls = [
      store.commit(task, commitOf(epoch, 1), signal),
      store.acquire(task, signal),
      store.putLatest([{ nodeId: task, interval: "1m", value: bytes("v"), ts: 1 }], signal),
      store.getHistory(task, "1m", 1, signal),
    ];
    for (const failure of await Promise.all(calls.map(async (call) => await failureOf(call)))) {
      expect(failure).toMatchObject({ code: "STORE_UNAVAILABLE" });
      expect(String(failure)).toContain(redis.url);
    }
    expect(performance.now() - since).toBeLessThan(3_000);
    const abort = new AbortController();
    const waiting = failureOf(store.acquire(task, abort.signal));
    const reason = new Error("enough");
    abort.abort(reason);
    expect(await waiting).toBe(reason);
    if (process.env["QMTL_SOAK"] === "1") await Bun.sleep(15_000);
    redis.thaw();
    const again = await store.commit(task, commitOf(epoch, 1), signal);
    // The acquires that timed out took effect when the server thawed, or not yet.
    expect(["OK", "DUP", "FENCED"]).toContain(again);
    expect((await acquired(store, task, signal)).epoch).toBeGreaterThan(epoch);
    await store.close();
  });

  test("a server that is down is named, and a store opened meanwhile works once it is up", async () => {
    await using redis = await startRedis();
    await redis.kill9();
    const failure = await failureOf(openState(`${redis.url}?retryMsMax=200`, signal));
    expect(failure).toMatchObject({ code: "STORE_UNAVAILABLE" });
    expect(String(failure)).toContain(redis.url);
    const opening = openState(`${redis.url}?retryMsMax=30000`, signal);
    await redis.restart();
    const store = await opening;
    expect((await acquired(store, newTask(), signal)).epoch).toBe(1);
    await store.close();
  });

  test("a commit that could not be sent is not of unknown outcome, and goes through later", async () => {
    await using redis = await startRedis();
    const store = await openState(`${redis.url}?retryMsMax=200`, signal);
    const task = newTask();
    const { epoch } = await acquired(store, task, signal);
    await redis.kill9();
    // A read is repeatable, so when it gives up the client knows that the connection is gone.
    await failureOf(store.getLatest(task, "1m", signal));
    const failure = await failureOf(store.commit(task, commitOf(epoch, 1), signal));
    const details = { isOutcomeUnknown: false };
    expect(failure).toMatchObject({ code: "STORE_UNAVAILABLE", details });
    expect(String(failure)).toContain("ECONNREFUSED");
    await redis.restart();
    const restarted = await openState(redis.url, signal);
    const next = await acquired(restarted, task, signal);
    expect(await restarted.commit(task, commitOf(next.epoch, 1), signal)).toBe("OK");
    await restarted.close();
    await store.close();
  });

  // Goal: nothing acknowledged is lost, nothing is counted twice. Method: commits without pause,
  // kill -9 after a random number of them, restart on the same append-only file; one task over all
  // rounds, its owner repeats what it got no answer for.
  test("kill -9 in mid-commit loses nothing that was acknowledged (appendfsync always)", async () => {
    const seed = Date.now() % 100_000;
    console.log(`redis kill -9: seed ${seed}`);
    await using redis = await startRedis({ appendFsync: "always" });
    const store = await openState(`${redis.url}?retryMsMax=30000`, signal);
    const task = newTask();
    const { epoch } = await acquired(store, task, signal);
    let acknowledged = 0;
    for (let round = 1; round <= killRounds; round += 1) {
      const killAt = acknowledged + 1 + ((seed * round * 7_919) % 97);
      const run = { redis, task, epoch, acknowledged, killAt };
      const failed = await commitUntilKilled(store, run);
      acknowledged = failed.commit - 1;
      await redis.restart();
      const client = new RedisClient(redis.url);
      const stored = Number(await client.hget(`qmtl:ckpt:{${task}}:meta`, "commit"));
      expect([acknowledged, acknowledged + 1]).toContain(stored);
      client.close();
      const again = await store.commit(task, failed, signal);
      expect(again).toBe(stored > acknowledged ? "DUP" : "OK");
      acknowledged += 1;
    }
    const restored = await acquired(store, task, signal);
    expect(restored.commit).toBe(acknowledged);
    const first = acknowledged - restored.log.length + 1;
    const want = restored.log.map((_, i) => `delta ${first + i}`);
    expect(restored.log.map(textOf)).toEqual(want);
    const swap = restored.base.map(textOf);
    expect(swap).toEqual(first === 1 ? [] : [`base ${first}`]);
    await store.close();
  }, 60_000);
});
