import { expect, test } from "bun:test";
import { parseRedisUrl, readCertificates, serverNameOf } from "../../../connectors/redis/config.ts";
import { historyKey, latestKey, taskKeys } from "../../../connectors/redis/keys.ts";
import { isPassing, refusal } from "../../../connectors/redis/store-error.ts";
import { hasCode, retryOf } from "../../../runtime/index.ts";
import { uglyNames } from "../../contract/ugly-names.ts";

/** What `run` throws. */
function thrownBy(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return error;
  }
  throw new Error("it returned, wanted it to throw");
}

test("parseRedisUrl() reads user, password, host, port, database and settings", () => {
  const config = parseRedisUrl("redis://me:p%40ss%2Fword@db.example:7000/3?commandTimeoutMs=250");
  expect(config).toMatchObject({
    host: "db.example",
    port: 7_000,
    username: "me",
    password: "p@ss/word",
    db: 3,
    isTls: false,
    commandTimeoutMs: 250,
  });
  expect(parseRedisUrl("rediss://:secret@[::1]")).toMatchObject({
    host: "::1",
    port: 6_379,
    password: "secret",
    db: 0,
    isTls: true,
  });
  expect(parseRedisUrl("redis://127.0.0.1").username).toBeUndefined();
});

test("serverNameOf() names host, port and database, and no user or password", () => {
  expect(serverNameOf(parseRedisUrl("rediss://me:secret@[::1]:7000/2"))).toBe(
    "rediss://[::1]:7000/2",
  );
  expect(serverNameOf(parseRedisUrl("redis://:secret@db"))).toBe("redis://db:6379");
});

test("parseRedisUrl() names every fault at once and never the password", () => {
  const bad = [
    "redis:",
    "redis://",
    "redis://:hunter2@db:99999",
    "redis://me:hunter2@db/zero",
    "redis://me:hunter2@db/-1",
    "redis://me:hunter2@db?retryMsMax=1",
    "redis://me:hunter2@db?unknownSetting=1",
    "redis://me:hunter2@db?tlsCa=/tmp/ca.pem",
  ];
  for (const url of bad) {
    const error = thrownBy(() => parseRedisUrl(url));
    expect([url, hasCode(error, "CONFIG_INVALID")]).toEqual([url, true]);
    expect(String(error)).not.toContain("hunter2");
  }
  const several = thrownBy(() => parseRedisUrl("redis://db/x?retryMsMax=1&color=red"));
  for (const name of ["db", "retryMsMax", "color"]) expect(String(several)).toContain(name);
});

test("readCertificates() refuses a file that is not there by its name", () => {
  const error = thrownBy(() => readCertificates("/nowhere/ca.pem"));
  expect(error).toMatchObject({ code: "CONFIG_INVALID", details: { tlsCa: "/nowhere/ca.pem" } });
});

test("keys are the names outsiders depend on, and no two names share one", () => {
  expect(taskKeys("momentum/0/3")).toEqual({
    meta: "qmtl:ckpt:{momentum/0/3}:meta",
    base: "qmtl:ckpt:{momentum/0/3}:base",
    log: "qmtl:ckpt:{momentum/0/3}:log",
  });
  expect(historyKey("00ff", "1m")).toBe("node:00ff:history:1m");
  expect(latestKey("00ff", "1m")).toBe("node:00ff:meta:1m");
  const names = [...uglyNames, "a", "a}:base", "a%7D:base", "a:history:1m", "", "}", "{}"];
  const all = names.flatMap((name): readonly string[] => [
    taskKeys(name).meta,
    taskKeys(name).base,
    taskKeys(name).log,
    ...names.flatMap((other) => [historyKey(name, other), latestKey(name, other)]),
  ]);
  expect(new Set(all).size).toBe(all.length);
});

// Replies as Redis 7.0 and, for a command inside a script, 6.2 send them.
const replies = [
  ["NOAUTH Authentication required.", "STORE_AUTH_FAILED"],
  ["WRONGPASS invalid username-password pair or user is disabled.", "STORE_AUTH_FAILED"],
  ["NOPERM this user has no permissions to run the 'evalsha' command", "STORE_AUTH_FAILED"],
  [
    "OOM command not allowed when used memory > 'maxmemory'. script: 0c, on @user_script:7.",
    "STORE_FULL",
  ],
  [
    "ERR Error running script (call to f_0c): @user_script:7: -OOM command not allowed when used memory > 'maxmemory'.",
    "STORE_FULL",
  ],
  ["READONLY You can't write against a read only replica.", "STORE_READ_ONLY"],
  ["MOVED 3999 127.0.0.1:6381", "STORE_REJECTED"],
  ["CROSSSLOT Keys in request don't hash to the same slot", "STORE_REJECTED"],
  ["WRONGTYPE Operation against a key holding the wrong kind of value", "STORE_CORRUPT"],
  ["ERR DB index is out of range", "CONFIG_INVALID"],
  ["ERR unknown command 'LPOS'", "STORE_REJECTED"],
  ["LOADING Redis is loading the dataset in memory", "STORE_UNAVAILABLE"],
  ["BUSY Redis is busy running a script.", "STORE_UNAVAILABLE"],
  ["MISCONF Errors writing to the AOF file: No space left on device", "STORE_UNAVAILABLE"],
  ["CLUSTERDOWN Hash slot not served", "STORE_UNAVAILABLE"],
  ["NOSCRIPT No matching script. Please use EVAL.", "STORE_UNAVAILABLE"],
  ["ERR max number of clients reached", "STORE_UNAVAILABLE"],
] as const;

test.each(replies)("the reply %p is %s, with the server and its words", (reply, code) => {
  const reason = Object.assign(new Error(reply), { name: "ReplyError" as const });
  const error = refusal("commit", "redis://db:6379", reason);
  expect(error.code).toBe(code);
  expect(error.message).toContain(`Cannot commit: redis://db:6379 replied "${reply}", wanted `);
  expect(isPassing(reason)).toBe(retryOf[code] === "backoff");
});
