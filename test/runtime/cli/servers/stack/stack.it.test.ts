import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RedisClient } from "bun";
import { Stack } from "../../../../../runtime/cli/servers/index.ts";
import { describeNeeding } from "../../../../harness/servers.ts";

const folder = mkdtempSync(join(tmpdir(), "stack-"));

describeNeeding(["redis"], "Stack", () => {
  afterAll(async () => {
    await new Stack(folder).down("redis");
    rmSync(folder, { recursive: true });
  });

  test("up() outlives the command, down() keeps the data, up() again keeps the URL", async () => {
    const modulePath = join(import.meta.dirname, "../../../../../runtime/cli/servers/index.ts");
    const code = `
      import { Stack } from ${JSON.stringify(modulePath)};
      console.log(await new Stack(${JSON.stringify(folder)}).up("redis"));`;
    const command = Bun.spawn([process.execPath, "-e", code], { stdout: "pipe" });
    const url = (await new Response(command.stdout).text()).trim();
    expect(await command.exited).toBe(0);
    expect(url).toMatch(/^redis:\/\/127\.0\.0\.1:\d+$/);

    const first = new RedisClient(url);
    await first.set("key", "kept");
    first.close();
    const stack = new Stack(folder);
    expect(await stack.up("redis")).toBe(url);
    expect(await stack.down("redis")).toBe(true);
    expect(await stack.down("redis")).toBe(false);
    expect((await stack.status()).find(({ kind }) => kind === "redis")?.state).toBe("down");

    expect(await stack.up("redis")).toBe(url);
    const second = new RedisClient(url);
    expect(await second.get("key")).toBe("kept");
    second.close();
  });

  test("status() tells up from silent and absent", async () => {
    const stack = new Stack(folder);
    await stack.up("redis");
    const statuses = await stack.status();
    expect(statuses.map(({ kind, state }) => `${kind} ${state}`)).toEqual([
      "kafka absent",
      "questdb absent",
      "redis up",
      "neo4j absent",
    ]);
    expect(statuses[2]!.pids).toHaveLength(1);
  });
});
