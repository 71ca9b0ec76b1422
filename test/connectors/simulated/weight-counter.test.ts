import { expect, test } from "bun:test";
import { WeightCounter } from "../../../connectors/simulated/weight-counter.ts";
import { systemClock } from "../../../runtime/index.ts";

/** A counter of 100 a minute with a ban after two more requests, and its clock in seconds. */
function counter() {
  const time = { seconds: 0 };
  const clock = { ...systemClock, now: () => time.seconds * 1_000 };
  return { counted: new WeightCounter(100, 2, clock), time };
}

test("beyond the limit it is 429 until the minute's end, and each minute begins anew (C1, C2)", () => {
  const { counted, time } = counter();
  time.seconds = 15;
  expect(counted.charge(100)).toEqual({ kind: "ok" });
  expect(counted.charge(1)).toEqual({ kind: "limited", retryAfterSeconds: 45 });
  expect([counted.used, counted.peak, counted.earlyCount]).toEqual([101, 101, 0]);
  time.seconds = 60;
  expect(counted.charge(40)).toEqual({ kind: "ok" });
  expect([counted.used, counted.peak]).toEqual([40, 101]);
});

test("who goes on is banned for 2 minutes, then for 4, and is seen to have come early (C2)", () => {
  const { counted, time } = counter();
  const overdo = () => {
    for (const weight of [101, 1, 1]) {
      expect(counted.charge(weight).kind).toBe("limited");
      time.seconds += 1;
    }
    return counted.charge(1);
  };
  expect(overdo()).toEqual({ kind: "banned", retryAfterSeconds: 120 });
  expect(counted.earlyCount).toBe(2);
  time.seconds += 119;
  expect(counted.charge(1)).toEqual({ kind: "banned", retryAfterSeconds: 1 });
  time.seconds += 61;
  expect(overdo()).toEqual({ kind: "banned", retryAfterSeconds: 240 });
});
