/**
 * Goal: the share bench compares what is the same. Method: each plan on a small input, through the task
 * and by hand; every bit of the outputs is hashed.
 */
import { expect, test } from "bun:test";
import { openPlan, type SharePair } from "../../../bench/compute/share/share-plans.ts";
import { openStorePair } from "../../../bench/compute/share/share-store.ts";

async function isEqualAfter(pair: SharePair, laps: number): Promise<boolean> {
  try {
    for (let lap = 0; lap < laps; lap += 1) {
      pair.begin(true);
      await pair.ours();
      await pair.byHand();
    }
    return pair.isEqual();
  } finally {
    await pair.end?.();
  }
}

for (const plan of ["zscore", "loop", "three"] as const) {
  for (const order of ["keys", "minutes"] as const) {
    test(`bench share: ${plan} comes to the same bits by hand, bars in the order of ${order}`, async () => {
      const pair = openPlan(plan, order, 130);
      expect(pair.rows).toBe(64 * 130);
      expect(await isEqualAfter(pair, 3)).toBe(true);
    });
  }
}

test("bench share: replaying the store's file reads every row that is read without", async () => {
  expect(await isEqualAfter(await openStorePair(100), 2)).toBe(true);
});
