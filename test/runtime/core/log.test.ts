import { expect, test } from "bun:test";
import { newLog } from "../../../runtime/core/log.ts";

/** A log, and the lines it has written so far. */
function kept(level = "debug") {
  const lines: string[] = [];
  const log = newLog({ level, write: (line) => lines.push(line) });
  return {
    log,
    lines,
    take: () => lines.map((line) => JSON.parse(line) as Record<string, unknown>),
  };
}

test("a line is one JSON object with level, ISO time, message, context and fields", () => {
  const { log, lines, take } = kept();
  log
    .child({ deployment: "momentum" })
    .child({ thread: 1 })
    .info("thread started", { tasks: [0, 2] });
  expect(lines).toHaveLength(1);
  expect(lines[0]).toEndWith("\n");
  const { time, ...rest } = take()[0]!;
  expect(new Date(String(time)).toISOString()).toBe(String(time));
  expect(rest).toEqual({
    level: "info",
    deployment: "momentum",
    thread: 1,
    tasks: [0, 2],
    msg: "thread started",
  });
});

test("lines below the level are not written, `silent` writes none", () => {
  const warn = kept("warn");
  warn.log.info("no");
  warn.log.warn("yes");
  warn.log.child({ a: 1 }).debug("no");
  warn.log.error("also");
  expect(warn.take().map(({ msg }) => msg)).toEqual(["yes", "also"]);
  const silent = kept("silent");
  silent.log.error("no");
  expect(silent.lines).toEqual([]);
});

test("an unknown level is refused by name", () => {
  expect(() => newLog({ level: "loud" })).toThrow('QMTL_LOG is "loud", wanted one of');
});

test.each([
  ["a URL's password", { url: "redis://user:canary@127.0.0.1:6379/0" }],
  ["a URL's password with an @ in it", { url: "kafka://user:ca@nary@host:9092" }],
  ["a URL's user, who may be a token", { url: "https://canary@host/path" }],
  ["a field by name", { password: "canary" }],
  ["a field by a longer name", { saslPassword: "canary", api_key: "canary", apiKey: "canary" }],
  ["a number", { token: 4_711_000, x: "canary".slice(0, 0) }],
  ["an object under a secret name", { credentials: { user: "canary", key: "canary" } }],
  ["a field inside a field", { transport: { sasl: [{ password: "canary" }] } }],
  ["a query", { url: "redis://host?password=canary&x=1" }],
  ["an error's text", { error: new Error("Cannot open redis://:canary@host: no") }],
  ["a URL object", { url: new URL("redis://u:canary@host") }],
])("%s is not written", (_, fields) => {
  const { log, lines } = kept();
  log.info("opened", fields);
  log.child(fields).info("opened");
  expect(lines).toHaveLength(2);
  expect(lines.join("")).not.toMatch(/canary|nary@|4711000/);
  expect(lines.join("")).toContain("[redacted]");
});

test("a message is redacted as fields are, the rest of a URL stays", () => {
  const { log, take } = kept();
  log.error("Cannot reach redis://me:canary@db:6379/1?token=canary&tls=true");
  expect(take()[0]!["msg"]).toBe(
    "Cannot reach redis://[redacted]@db:6379/1?token=[redacted]&tls=true",
  );
});

test("what only looks like a secret is written", () => {
  const { log, take } = kept();
  log.info("at a@b.example", { passes: 3, key: "BTCUSDT", keys: 4, url: "kafka://h:1/@x" });
  expect(take()[0]).toMatchObject({
    passes: 3,
    key: "BTCUSDT",
    keys: 4,
    url: "kafka://h:1/@x",
    msg: "at a@b.example",
  });
});

test("a circle in the fields ends at a depth, not in an error", () => {
  const { log, lines } = kept();
  const circle: Record<string, unknown> = { name: "x" };
  circle["self"] = circle;
  log.info("round", { circle });
  expect(lines[0]).toContain("[deeper]");
});

test("standard error has the line when a program ends at once", async () => {
  const source = `import { newLog } from "${import.meta.dir}/../../../runtime/core/log.ts";
newLog().info("last words"); process.exit(3);`;
  const run = Bun.spawn([process.execPath, "-e", source], {
    env: { ...process.env, NODE_ENV: "production", QMTL_LOG: "info" },
    stderr: "pipe",
  });
  expect(await run.exited).toBe(3);
  expect(JSON.parse(await new Response(run.stderr).text())).toMatchObject({ msg: "last words" });
});
