import { expect, test } from "bun:test";
import { noNews, WeightGovernor } from "../../../connectors/binance/weight-governor.ts";
import { QmtlError } from "../../../runtime/index.ts";
import { SkippingClock } from "./skipping-clock.ts";

const signal = new AbortController().signal;
const minuteMs = 60_000;
const limits = {
  weightPerMinute: 10,
  weightShareMax: 1,
  requestsInFlightMax: 3,
  stopMsMax: 600_000,
};

/** Enters and leaves `count` requests of weight 2; the clock's times at which they entered. */
async function run(
  governor: WeightGovernor,
  clock: SkippingClock,
  count: number,
): Promise<number[]> {
  const times: number[] = [];
  for (let i = 0; i < count; i += 1) {
    await governor.enter(2, signal);
    times.push(clock.now());
    governor.leave(2, noNews);
  }
  return times;
}

test("what does not fit into a minute waits for the next wall-clock minute (G2, G3)", async () => {
  const clock = new SkippingClock(10 * minuteMs + 15_000);
  const times = await run(new WeightGovernor(limits, clock), clock, 11);
  const [now, next, third] = [10 * minuteMs + 15_000, 11 * minuteMs, 12 * minuteMs];
  expect(times).toEqual([now, now, now, now, now, next, next, next, next, next, third]);
});

test("at most `requestsInFlightMax` are under way, and those that wait enter in order (G1)", async () => {
  const clock = new SkippingClock(0);
  const governor = new WeightGovernor({ ...limits, weightPerMinute: 1_000 }, clock);
  const entered: number[] = [];
  const all = Array.from({ length: 6 }, async (_, i) => {
    await governor.enter(1, signal);
    entered.push(i);
  });
  await Promise.all(all.slice(0, 3));
  expect(entered).toEqual([0, 1, 2]);
  governor.leave(1, noNews);
  await all[3];
  governor.leave(1, noNews);
  await all[4];
  expect(entered).toEqual([0, 1, 2, 3, 4]);
});

test("one that gives up in the queue leaves the others their turn (G1)", async () => {
  const governor = new WeightGovernor({ ...limits, requestsInFlightMax: 1 }, new SkippingClock(0));
  await governor.enter(1, signal);
  const controller = new AbortController();
  const first = governor.enter(1, controller.signal).catch((error: unknown) => error);
  const second = governor.enter(1, signal);
  const reason = new Error("enough");
  controller.abort(reason);
  expect(await first).toBe(reason);
  governor.leave(1, noNews);
  await second;
});

test("the header's count replaces a lower one of ours, never a higher (G2)", async () => {
  const governor = new WeightGovernor(limits, new SkippingClock(5 * minuteMs));
  await governor.enter(2, signal);
  governor.leave(2, { usedWeight: 7, dateMs: 5 * minuteMs });
  expect(governor.remaining).toBe(3);
  await governor.enter(2, signal);
  governor.leave(2, { usedWeight: 1, dateMs: 5 * minuteMs });
  expect(governor.remaining).toBe(1);
});

test("the count of a minute that is over is not taken for this one's (G3)", async () => {
  const governor = new WeightGovernor(limits, new SkippingClock(5 * minuteMs));
  await governor.enter(2, signal);
  governor.leave(2, { usedWeight: 2, dateMs: 5 * minuteMs });
  await governor.enter(2, signal);
  governor.leave(2, { usedWeight: 9, dateMs: 5 * minuteMs - 1_000 });
  expect(governor.remaining).toBe(6);
});

test("minutes are the exchange's, told by its Date, where our clock is off (G3)", async () => {
  const clock = new SkippingClock(5 * minuteMs);
  const governor = new WeightGovernor(limits, clock);
  await governor.enter(2, signal);
  // The exchange is 20 s behind us: its minute 4 lasts for 20 s more.
  governor.leave(2, { usedWeight: 2, dateMs: 5 * minuteMs - 20_000 });
  expect(governor.turnMs).toBe(20_000);
});

test("weight under way when the minute turns counts into the new one (G3)", async () => {
  const clock = new SkippingClock(5 * minuteMs - 1_000);
  const governor = new WeightGovernor(limits, clock);
  await governor.enter(2, signal);
  await governor.enter(2, signal);
  governor.leave(2, noNews);
  await clock.sleep(1_000, signal);
  expect(governor.remaining).toBe(8);
});

test("a request heavier than the budget goes alone instead of never", async () => {
  const clock = new SkippingClock(minuteMs);
  const governor = new WeightGovernor(limits, clock);
  await governor.enter(20, signal);
  governor.leave(20, noNews);
  expect(await run(governor, clock, 1)).toEqual([2 * minuteMs]);
});

test("after stop() nothing enters before its end, and a longer stop wins (G4)", async () => {
  const clock = new SkippingClock(0);
  const governor = new WeightGovernor(limits, clock);
  const reason = new QmtlError("EXCHANGE_RATE_LIMITED", "too fast");
  governor.stop(90_000, reason);
  governor.stop(30_000, reason);
  expect(await run(governor, clock, 1)).toEqual([90_000]);
});

test("a stop longer than `stopMsMax` throws its reason, until it is short enough (G4)", async () => {
  const clock = new SkippingClock(0);
  const governor = new WeightGovernor(limits, clock);
  const reason = new QmtlError("EXCHANGE_BANNED", "too fast");
  governor.stop(700_000, reason);
  const error = await governor.enter(1, signal).catch((thrown: unknown) => thrown);
  expect(error).toBe(reason);
  await clock.sleep(100_000, signal);
  expect(await run(governor, clock, 1)).toEqual([700_000]);
});
