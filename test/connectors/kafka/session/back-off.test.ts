import { expect, test } from "bun:test";
import { BackOff } from "../../../../connectors/kafka/session/back-off.ts";

test("waits double up to the last, each cut by half at most, and begin again after reset()", () => {
  const backOff = new BackOff(100, 1_000);
  for (const full of [100, 200, 400, 800, 1_000, 1_000]) {
    expect(backOff.next()).toBeWithin(full / 2, full + 0.001);
  }
  backOff.reset();
  expect(backOff.next()).toBeWithin(50, 100.001);
});

test("a thousand tries are as long as the last wait, not longer and not endless", () => {
  const backOff = new BackOff(100, 1_000);
  for (let i = 0; i < 1_000; i += 1) backOff.next();
  expect(backOff.next()).toBeWithin(500, 1_000.001);
});
