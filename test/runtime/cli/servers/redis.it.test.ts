import { expect, test } from "bun:test";
import { RedisClient } from "bun";
import { startRedis } from "../../../../runtime/cli/servers/index.ts";
import { describeWithServers, itest, uniqueName } from "../../../harness/servers.ts";

describeWithServers(["redis"], "redis", (started) => {
  test("startRedis() keeps what it acknowledged over kill -9 and restart, on the same port", async () => {
    await using redis = await startRedis({ appendFsync: "always" });
    const before = new RedisClient(redis.url);
    await before.set("key", "value");
    before.close();
    const { pid, port } = redis;
    await redis.kill9();
    expect(redis.pid).toBe(0);
    await redis.restart();
    expect(redis.pid).not.toBe(pid);
    expect(redis.port).toBe(port);
    const after = new RedisClient(redis.url);
    expect(await after.get("key")).toBe("value");
    after.close();
  });

  test("freeze() keeps connections open and answers nothing until thaw()", async () => {
    await using redis = await startRedis();
    const client = new RedisClient(redis.url);
    await client.set("key", "1");
    redis.freeze();
    let isAnswered = false;
    const reply = client.incr("key").then((value) => {
      isAnswered = true;
      return value;
    });
    await Bun.sleep(200);
    expect(isAnswered).toBe(false);
    redis.thaw();
    expect(await reply).toBe(2);
    client.close();
  });

  itest(["redis"], "itest() hands over the running server", async ({ redis }) => {
    expect(redis.pid).toBeGreaterThan(0);
    expect(redis.logTail(1)).not.toBe("");
    await Promise.resolve();
  });

  test("the shared server serves every test under names of its own", async () => {
    const client = new RedisClient(started().redis.url);
    const name = uniqueName("key");
    expect(uniqueName("key")).not.toBe(name);
    await client.set(name, "1");
    expect(await client.get(name)).toBe("1");
    client.close();
  });
});
