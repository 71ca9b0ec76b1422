import { expect, test } from "bun:test";
import { historyKey, latestKey, taskKeys } from "../../../connectors/redis/keys.ts";

test("a task's keys are in one slot: the braces hold its name", () => {
  expect(taskKeys("Sample/0/3")).toEqual({
    meta: "qmtl:ckpt:{Sample/0/3}:meta",
    base: "qmtl:ckpt:{Sample/0/3}:base",
    log: "qmtl:ckpt:{Sample/0/3}:log",
  });
  expect(latestKey("1f", "1m")).toBe("node:1f:meta:1m");
  expect(historyKey("1f", "1m")).toBe("node:1f:history:1m");
});

test("no two names share a key, whatever is in them", () => {
  const names = ["a", "a}:x{", "a%7D%3Ax%7B", "a:base", "a}", "a{", "a%"];
  const keys = names.flatMap((name) => {
    const { meta, base, log } = taskKeys(name);
    return [meta, base, log];
  });
  expect(new Set(keys).size).toBe(3 * names.length);
  // The first pair of braces is the only one: Redis hashes what is in it.
  for (const key of keys) expect(key).toMatch(/^qmtl:ckpt:\{[^{}]+\}:(meta|base|log)$/);
  expect(historyKey("a:history", "1m")).not.toBe(historyKey("a", "history:1m"));
});
