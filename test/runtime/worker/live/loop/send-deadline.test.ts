import { expect, test } from "bun:test";
import { SendDeadline } from "../../../../../runtime/worker/live/loop/send-deadline.ts";

async function ended({ signal }: SendDeadline): Promise<unknown> {
  while (!signal.aborted) await Bun.sleep(1);
  return signal.reason;
}

test("a deadline ends the sends in time, and says after how long", async () => {
  const deadline = new SendDeadline();
  expect(deadline.signal.aborted).toBe(false);
  const startedMs = performance.now();
  deadline.begin(20);
  expect(await ended(deadline)).toMatchObject({
    code: "TRANSPORT_UNAVAILABLE",
    message:
      "Cannot send the last outputs: they are not acknowledged within 20 ms after the loop had ended, wanted a transport and a state store that answer",
  });
  // A timer may fire up to a millisecond early against the other clock.
  expect(performance.now() - startedMs).toBeGreaterThanOrEqual(19);
  deadline.close();
});

test("the first end of a loop counts: a later one neither shortens nor prolongs it", async () => {
  const deadline = new SendDeadline();
  deadline.begin(20);
  deadline.begin(60_000);
  expect(String(await ended(deadline))).toContain("within 20 ms");
  deadline.close();
});

test("a deadline that is closed in time does not come", async () => {
  const deadline = new SendDeadline();
  deadline.begin(5);
  deadline.close();
  await Bun.sleep(30);
  expect(deadline.signal.aborted).toBe(false);
  deadline.close();
});
