/**
 * What the friendly surface costs: each plan's speed as a share of a hand loop that does the same maths
 * and comes to the same bits, beside the share that is promised.
 * Measures: 64 keys, 9 columns pushed, outputs checked and collected, as a replay feeds them: batches of
 * a key; also a row a call, as joins of several keys are fed. From the embedded store's file: beside
 * reading the file's columns alone.
 * Does not measure: recording, several threads.
 * Each plan runs in processes of its own, lap about with its limit, by the thread's CPU time.
 */
import { join } from "node:path";
import { z } from "zod";
import { type Measured, medianOf, type Suite } from "../../harness.ts";

const rounds = 3;
const program = join(import.meta.dir, "share-run.ts");
const printed = z.strictObject({ ours: z.number(), byHand: z.number() });

/** Plan, order, what it is called, the share that is promised. */
const entries = [
  ["zscore", "keys", "1 node, z-score of 60", 0.45],
  ["loop", "keys", "a user's own loop over 60 values", 0.6],
  ["three", "keys", "3 nodes", 0.25],
  ["zscore", "store", "from the file to the last output", 0.25],
  ["zscore", "minutes", "1 node, a row a call", undefined],
  ["loop", "minutes", "own loop, a row a call", undefined],
  ["three", "minutes", "3 nodes, a row a call", undefined],
] as const;

/** Shares of the hand loop's speed. */
export const share: Suite = {
  name: "share",
  needsServers: false,
  async measure({ timeMs }, signal): Promise<readonly Measured[]> {
    const found: Measured[] = [];
    for (const [plan, order, name, target] of entries) {
      const runs: { readonly ours: number; readonly byHand: number }[] = [];
      for (let round = 0; round < rounds; round += 1) {
        runs.push(await runOne([plan, order, String(timeMs / rounds)], signal));
      }
      const reached = medianOf(runs.map(({ ours, byHand }) => byHand / ours));
      const promised = target === undefined ? "" : `, promised ${target}`;
      found.push(
        {
          name,
          role: "ours",
          nsPerRecord: medianOf(runs.map(({ ours }) => ours)),
          note: `${reached.toFixed(2)} of its limit${promised}`,
        },
        {
          name: order === "store" ? "reading the columns" : "by hand",
          role: "limit",
          nsPerRecord: medianOf(runs.map(({ byHand }) => byHand)),
        },
      );
    }
    return found;
  },
};

async function runOne(
  args: readonly string[],
  signal: AbortSignal,
): Promise<z.output<typeof printed>> {
  const child = Bun.spawn([process.execPath, program, ...args], {
    env: { ...process.env, NODE_ENV: "production" },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    signal,
  });
  const [output, errors, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  signal.throwIfAborted();
  if (code === 0) return printed.parse(JSON.parse(output));
  throw new Error(
    `Cannot measure "${args.join(" ")}": it ended with ${code}. ${errors.slice(-2_000)}`,
  );
}
