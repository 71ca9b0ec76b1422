import { expect, test } from "bun:test";
import { reasonOf, systemClock } from "../../../runtime/core/clock.ts";
import { hasCode } from "../../../runtime/core/errors.ts";

test("now() is wall-clock time in ms", () => {
  const before = Date.now();
  const now = systemClock.now();
  expect(now).toBeGreaterThanOrEqual(before);
  expect(now).toBeLessThanOrEqual(Date.now());
});

test("sleep() resolves, not before its time", async () => {
  const start = performance.now();
  await systemClock.sleep(20, new AbortController().signal);
  // A timer may fire up to a millisecond early against the other clock.
  expect(performance.now() - start).toBeGreaterThanOrEqual(19);
});

test("sleep() rejects at once with the reason of a signal that aborts", async () => {
  const controller = new AbortController();
  const reason = new Error("stop");
  const sleeping = systemClock.sleep(60_000, controller.signal);
  controller.abort(reason);
  expect(sleeping).rejects.toBe(reason);
  await sleeping.catch(() => undefined);
});

test("sleep() rejects at once if the signal has aborted before", async () => {
  const reason = new Error("stopped");
  const caught = await systemClock
    .sleep(60_000, AbortSignal.abort(reason))
    .catch((error: unknown) => error);
  expect(caught).toBe(reason);
});

test("sleep() leaves no listener on the signal when its time has passed", async () => {
  const { signal } = new AbortController();
  let listeners = 0;
  const counted = new Proxy(signal, {
    get(target, name) {
      if (name === "addEventListener") listeners += 1;
      if (name === "removeEventListener") listeners -= 1;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
  await systemClock.sleep(1, counted);
  expect(listeners).toBe(0);
});

test("reasonOf() is the reason if it is an error, else ABORTED with it as text", () => {
  const reason = new Error("why");
  expect(reasonOf(AbortSignal.abort(reason))).toBe(reason);
  const other = reasonOf(AbortSignal.abort("tea time"));
  expect(hasCode(other, "ABORTED")).toBeTrue();
  expect(other.message).toContain("tea time");
});
