import { afterAll, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sweepTemporary } from "../../../../../runtime/cli/servers/process/data-directory.ts";
import { startTicksOf } from "../../../../../runtime/cli/servers/process/process-identity.ts";
import {
  type ProcessSpec,
  ServerProcess,
} from "../../../../../runtime/cli/servers/process/server-process.ts";

const folder = mkdtempSync(join(tmpdir(), "server-process-"));
const modulePath = join(
  import.meta.dirname,
  "../../../../../runtime/cli/servers/process/server-process.ts",
);

afterAll(() => rmSync(folder, { recursive: true }));

/** A program that says "ready" and then sleeps stands for a server. */
function sleeper(name: string, script = "echo ready; exec sleep 1000"): ProcessSpec {
  return {
    name,
    command: ["/bin/sh", "-c", script],
    environment: {},
    logPath: join(folder, `${name}.log`),
    removeAtEnd: undefined,
    isDetached: false,
    onSpawn: undefined,
    readyMsMax: 5_000,
    isReady: async (log) => await Promise.resolve(log.includes("ready")),
  };
}

async function until(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 5_000;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error("The condition did not come true in 5 s");
    await Bun.sleep(2);
  }
}

// Goal: P2 under the worst end. Method: another process owns the server and is killed by -9.
for (const state of ["running", "frozen"] as const) {
  test(`a ${state} server and its files are gone after kill -9 of its owner (P2)`, async () => {
    const data = join(folder, `owned-${state}`);
    mkdirSync(data);
    const spec = { ...sleeper(`owned-${state}`), removeAtEnd: data };
    const { isReady: _, ...plain } = spec;
    const code = `
      import { ServerProcess } from ${JSON.stringify(modulePath)};
      const server = new ServerProcess({ ...${JSON.stringify(plain)}, isReady: async (log) => log.includes("ready") });
      await server.start();
      ${state === "frozen" ? "server.freeze();" : ""}
      console.log(server.pid);
      setInterval(() => {}, 1000);`;
    const owner = Bun.spawn([process.execPath, "-e", code], { stdout: "pipe" });
    const reader = owner.stdout.getReader();
    const { value } = await reader.read();
    const pid = Number(new TextDecoder().decode(value));
    expect(startTicksOf(pid)).toBeGreaterThan(0);
    owner.kill("SIGKILL");
    await owner.exited;
    await until(() => startTicksOf(pid) === undefined && !existsSync(data));
  });
}

test("files are gone too if the server is told to end just before its owner ends (P2)", async () => {
  const data = join(folder, "ended-first");
  mkdirSync(data);
  const { isReady: _, ...plain } = { ...sleeper("ended-first"), removeAtEnd: data };
  const code = `
    import { ServerProcess } from ${JSON.stringify(modulePath)};
    const server = new ServerProcess({ ...${JSON.stringify(plain)}, isReady: async (log) => log.includes("ready") });
    await server.start();
    await server.stop();`;
  expect(await Bun.spawn([process.execPath, "-e", code]).exited).toBe(0);
  await until(() => !existsSync(data));
});

test("an owner that ends in order takes the server with it (P2)", async () => {
  const { isReady: _, ...plain } = sleeper("orderly");
  const code = `
    import { ServerProcess } from ${JSON.stringify(modulePath)};
    const server = new ServerProcess({ ...${JSON.stringify(plain)}, isReady: async (log) => log.includes("ready") });
    await server.start();
    console.log(server.pid);`;
  const owner = Bun.spawn([process.execPath, "-e", code], { stdout: "pipe" });
  const pid = Number(await new Response(owner.stdout).text());
  expect(await owner.exited).toBe(0);
  await until(() => startTicksOf(pid) === undefined);
});

test("kill9() leaves the files alone, and start() starts it again", async () => {
  const data = join(folder, "kept");
  mkdirSync(data);
  const server = new ServerProcess({ ...sleeper("kept"), removeAtEnd: data });
  await server.start();
  const first = server.pid;
  await server.kill9();
  expect(server.pid).toBe(0);
  await server.start();
  expect(server.pid).not.toBe(first);
  expect(existsSync(data)).toBe(true);
  await server.kill9();
  expect(existsSync(data)).toBe(true);
});

test("stop() ends a frozen server too", async () => {
  const server = new ServerProcess(sleeper("frozen"));
  await server.start();
  server.freeze();
  await server.stop();
  expect(server.pid).toBe(0);
});

test("start() rejects with the end of the log if the server ends while starting (P3)", async () => {
  const server = new ServerProcess(sleeper("broken", "echo cannot bind; exit 3"));
  const error = await server.start().catch((reason: unknown) => reason);
  expect(String(error)).toContain("Cannot start broken: the process ended while starting");
  expect(String(error)).toContain("cannot bind");
});

test("start() rejects if the probe is never answered, and leaves nothing running (P3)", async () => {
  const pids: number[] = [];
  const server = new ServerProcess({
    ...sleeper("silent", "exec sleep 1000"),
    readyMsMax: 100,
    onSpawn: (pid) => pids.push(pid),
  });
  const error = await server.start().catch((reason: unknown) => reason);
  expect(String(error)).toContain("no answer after 100 ms");
  expect(pids).toHaveLength(1);
  expect(startTicksOf(pids[0]!)).toBeUndefined();
});

test("sweepTemporary() removes the directory of a dead owner and keeps that of a living one", () => {
  const dead = join(tmpdir(), "qmtl-redis-1-1-gone");
  const living = join(tmpdir(), `qmtl-redis-${process.pid}-${startTicksOf(process.pid)}-here`);
  mkdirSync(dead, { recursive: true });
  mkdirSync(living, { recursive: true });
  sweepTemporary();
  expect(existsSync(dead)).toBe(false);
  expect(existsSync(living)).toBe(true);
  rmSync(living, { recursive: true });
});
