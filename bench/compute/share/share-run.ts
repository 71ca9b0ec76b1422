/**
 * A program: one plan in both ways, lap about in this process, on the same bars. Arguments: plan,
 * order of the bars or `store`, ms for each way. Prints the ns a bar of each as JSON: of this thread's
 * CPU, which a busy machine changes less than it does the time.
 */
import { type Order } from "./share-input.ts";
import { openPlan, type PlanName, type SharePair } from "./share-plans.ts";
import { openStorePair } from "./share-store.ts";

const minutes = 4_096;
const warmUpLaps = 12;

async function run(pair: SharePair, timeMs: number): Promise<void> {
  let ours = 0;
  let byHand = 0;
  let laps = 0;
  for (let lap = 0; Math.min(ours, byHand) < timeMs * 1_000; lap += 1) {
    pair.begin(lap < 2);
    const oursUs = await cpuUs(() => pair.ours());
    const byHandUs = await cpuUs(() => pair.byHand());
    if (lap < 2 && !pair.isEqual()) throw new Error("Cannot compare: the outputs differ");
    if (lap < warmUpLaps) continue;
    ours += oursUs;
    byHand += byHandUs;
    laps += 1;
  }
  const nsOf = (us: number): number => (us * 1e3) / laps / pair.rows;
  process.stdout.write(`${JSON.stringify({ ours: nsOf(ours), byHand: nsOf(byHand) })}\n`);
}

async function cpuUs(work: () => void | Promise<void>): Promise<number> {
  const before = process.threadCpuUsage();
  await work();
  const { user, system } = process.threadCpuUsage(before);
  return user + system;
}

const [plan = "", order = "", timeMs = ""] = process.argv.slice(2);
// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- given by the bench
const opened =
  order === "store" ? openStorePair(minutes) : openPlan(plan as PlanName, order as Order, minutes);
const pair = await opened;
try {
  await run(pair, Number(timeMs));
} finally {
  await pair.end?.();
}
