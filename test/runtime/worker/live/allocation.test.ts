/**
 * Goal: an Operator's plan makes no object per record, from the fetched bytes to the batch that is
 * sent. Method: a program runs three million records and the engine's own log of collections is
 * counted; a compute that makes lists shows what it would look like.
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

test("an Operator's plan makes no object per record, from fetched bytes to sent batches", async () => {
  expect(await collectionsOf("lists")).toBeGreaterThan(5);
  // What is made per batch is a few hundred bytes: far from one collection in all.
  expect(await collectionsOf("operator")).toBeLessThanOrEqual(1);
}, 30_000);
