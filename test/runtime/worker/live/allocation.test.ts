/**
 * Goal: an Operator's plan makes no object per record, from the fetched bytes to the batch that is
 * sent. Method: a program runs ten million records and the engine's own log of collections is counted;
 * the same program with an object kept per record shows that the log works and that the limit is tight.
 */
import { expect, test } from "bun:test";
import { repository, runBun } from "../../../harness/child-run.ts";

const program = new URL("allocation-run.ts", import.meta.url).pathname;

/** Collections while the program ran, after its warm-up. */
async function collectionsOf(plan: string): Promise<number> {
  const env = { BUN_JSC_logGC: "1" };
  const { exitCode, stderr } = await runBun([program, plan], { cwd: repository, env });
  expect(exitCode).toBe(0);
  const log = stderr.slice(stderr.lastIndexOf("begin\n"), stderr.lastIndexOf("end\n"));
  return log.split("Requesting GC").length - 1;
}

/** What is made per batch comes to a few MB in all. */
const collectionsMax = 2;

test("an Operator's plan makes no object per record, from fetched bytes to sent batches", async () => {
  expect(await collectionsOf("operator")).toBeLessThanOrEqual(collectionsMax);
}, 30_000);

test("with one object kept per record the same limit breaks", async () => {
  expect(await collectionsOf("kept")).toBeGreaterThan(collectionsMax);
}, 30_000);
