import { expect, test } from "bun:test";
import { RedisClient } from "bun";
import { openState } from "../../../connectors/redis/index.ts";
import { freePort, startRedis } from "../../../runtime/cli/servers/index.ts";
import { failureOf } from "../../contract/failure-of.ts";
import { acquired } from "../../contract/state-model.ts";
import { describeWithServers, uniqueName } from "../../harness/servers.ts";
import { newCertificate } from "../../harness/tls-proxy.ts";

type RedisOptions = NonNullable<Parameters<typeof startRedis>[0]>;

const signal = AbortSignal.timeout(600_000);
const none = new Uint8Array(0);
const newTask = (): string => `${uniqueName("deployment")}/stage/0`;

/** Runs one command as the server's own user. */
async function admin(url: string, name: string, ...args: readonly string[]): Promise<unknown> {
  const client = new RedisClient(url);
  try {
    return (await client.send(name, [...args])) as unknown;
  } finally {
    client.close();
  }
}

async function warningsWith(options: RedisOptions, user = ""): Promise<readonly string[]> {
  await using redis = await startRedis(options);
  if (user !== "") await admin(redis.url, "ACL", "SETUSER", "worker", ...user.split(" "));
  const url = user === "" ? redis.url : redis.url.replace("//", "//worker:secret@");
  const store = await openState(url, signal);
  await store.close();
  return store.warnings;
}

describeWithServers(["redis"], "redis:// settings of the server", (started) => {
  test("warnings has one line per setting that risks acknowledged state, none if nothing does", async () => {
    expect(await warningsWith({ appendFsync: "always" })).toEqual([]);
    const [second, ...more] = await warningsWith({ appendFsync: "everysec" });
    expect(second).toContain("appendfsync everysec");
    expect(more).toEqual([]);
    expect((await warningsWith({ appendFsync: "no" }))[0]).toContain("appendfsync no");
    const settings = { "maxmemory-policy": "allkeys-lru", maxmemory: "100mb" };
    const [all, evicted] = await warningsWith({ appendOnly: false, settings });
    expect(all).toContain("a restart of it loses every checkpoint");
    expect(evicted).toContain("maxmemory-policy allkeys-lru");
    const saved = await warningsWith({ appendOnly: false, settings: { save: "60 1" } });
    expect(saved[0]).toContain("what came after its last snapshot");
  });

  test("without CONFIG the warnings say so, and INFO tells what it can", async () => {
    const user = "on >secret ~qmtl:ckpt:* ~node:* +@all -config";
    const lines = await warningsWith(
      { appendOnly: false, settings: { "maxmemory-policy": "allkeys-random" } },
      user,
    );
    expect(lines.length).toBe(3);
    expect(lines[0]).toContain("does not permit CONFIG GET");
    expect(lines[1]).toContain("appendonly no");
    expect(lines[2]).toContain("allkeys-random");
  });

  test("the least a user needs is its keys, scripts, reads, and INFO or nothing", async () => {
    await using redis = await startRedis({ appendFsync: "always" });
    const commands =
      "+eval +evalsha +hget +hset +hmget +hdel +hincrby +hkeys +hstrlen +hlen +exists +multi +exec";
    const lists = "+llen +lrange +rpush +lpush +lpos +ltrim +rename +unlink +ping";
    const rules = `on >secret ~qmtl:ckpt:* ~node:* ${commands} ${lists}`;
    await admin(redis.url, "ACL", "SETUSER", "worker", ...rules.split(" "));
    const store = await openState(redis.url.replace("//", "//worker:secret@"), signal);
    expect(store.warnings.length).toBe(1);
    const task = newTask();
    const { epoch } = await acquired(store, task, signal);
    await store.stageBase(task, { epoch, commit: 1, index: 0, bytes: none }, signal);
    const commit = { epoch, commit: 1, meta: none, delta: new Uint8Array(1), swapsBase: true };
    expect(await store.commit(task, commit, signal)).toBe("OK");
    const large = { ...commit, commit: 2, delta: new Uint8Array(20_000) };
    expect(await store.commit(task, { ...large, swapsBase: false }, signal)).toBe("OK");
    expect((await acquired(store, task, signal)).base.length).toBe(1);
    await store.appendHistory([{ nodeId: "n", interval: "1m", values: [none], keep: 1 }], signal);
    await store.putLatest([{ nodeId: "n", interval: "1m", value: none, ts: 1 }], signal);
    expect((await store.getLatest("n", "1m", signal))?.ts).toBe(1);
    expect(await store.getHistory("n", "1m", 1, signal)).toEqual([none]);
    await store.drop(task, signal);
    await store.close();
  });

  test("a missing or wrong password, or database, is refused at once and by name", async () => {
    await using redis = await startRedis({ settings: { databases: "4" } });
    const { port } = redis;
    await admin(redis.url, "CONFIG", "SET", "requirepass", "right");
    const since = performance.now();
    const noPassword = await failureOf(openState(`redis://127.0.0.1:${port}`, signal));
    expect(noPassword).toMatchObject({ code: "STORE_AUTH_FAILED" });
    const wrong = await failureOf(openState(`redis://:hunter2@127.0.0.1:${port}`, signal));
    expect(wrong).toMatchObject({ code: "STORE_AUTH_FAILED" });
    expect(JSON.stringify(wrong) + String(wrong)).not.toContain("hunter2");
    const noDatabase = await failureOf(openState(`redis://:right@127.0.0.1:${port}/4`, signal));
    expect(noDatabase).toMatchObject({ code: "CONFIG_INVALID" });
    expect(performance.now() - since).toBeLessThan(3_000);
    const store = await openState(`redis://:right@127.0.0.1:${port}/3`, signal);
    expect((await acquired(store, "task", signal)).epoch).toBe(1);
    const other = await openState(`redis://:right@127.0.0.1:${port}/2`, signal);
    expect((await acquired(other, "task", signal)).epoch).toBe(1);
    await store.close();
    await other.close();
  });

  test("full memory is STORE_FULL and changes nothing; dropping a task makes room", async () => {
    await using redis = await startRedis();
    const store = await openState(redis.url, signal);
    const task = newTask();
    const { epoch } = await acquired(store, task, signal);
    const delta = new Uint8Array(2 ** 20).fill(7);
    const commit = { epoch, commit: 1, meta: none, delta, swapsBase: false };
    expect(await store.commit(task, commit, signal)).toBe("OK");
    await admin(redis.url, "CONFIG", "SET", "maxmemory", "1mb");
    const full = await failureOf(store.commit(task, { ...commit, commit: 2 }, signal));
    expect(full).toMatchObject({ code: "STORE_FULL" });
    await store.drop(task, signal);
    await admin(redis.url, "CONFIG", "SET", "maxmemory", "0");
    const next = await acquired(store, task, signal);
    expect([next.commit, next.log.length]).toEqual([0, 0]);
    await store.close();
  });

  test("a replica is STORE_READ_ONLY, and the warnings say so", async () => {
    const replicaof = `127.0.0.1 ${await freePort()}`;
    await using replica = await startRedis({ settings: { replicaof } });
    const store = await openState(replica.url, signal);
    expect(store.warnings.join(" ")).toContain("Redis is a replica");
    const failure = await failureOf(store.acquire(newTask(), signal));
    expect(failure).toMatchObject({ code: "STORE_READ_ONLY" });
    await store.close();
  });

  test("keys that hold something else are STORE_CORRUPT", async () => {
    const { url } = started().redis;
    const task = newTask();
    await admin(url, "SET", `qmtl:ckpt:{${task}}:meta`, "not ours");
    const store = await openState(url, signal);
    const failure = await failureOf(store.acquire(task, signal));
    expect(failure).toMatchObject({ code: "STORE_CORRUPT" });
    await store.close();
  });

  test("rediss:// trusts the certificate it is told to, and nothing else", async () => {
    using certificate = newCertificate();
    const port = String(await freePort());
    await using redis = await startRedis({
      settings: {
        "tls-port": port,
        "tls-cert-file": certificate.path,
        "tls-key-file": certificate.keyPath,
        "tls-auth-clients": "no",
      },
    });
    const url = `rediss://127.0.0.1:${port}?retryMsMax=300`;
    const stranger = await failureOf(openState(url, signal));
    expect(stranger).toMatchObject({ code: "STORE_UNAVAILABLE" });
    expect(String(stranger)).toContain("certificate");
    const store = await openState(`${url}&tlsCa=${encodeURIComponent(certificate.path)}`, signal);
    const task = newTask();
    expect((await acquired(store, task, signal)).epoch).toBe(1);
    const plain = await openState(redis.url, signal);
    expect((await acquired(plain, task, signal)).epoch).toBe(2);
    await store.close();
    await plain.close();
  });
});
