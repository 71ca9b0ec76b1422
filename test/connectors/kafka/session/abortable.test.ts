import { expect, test } from "bun:test";
import { abortable } from "../../../../connectors/kafka/session/abortable.ts";
import { failureOf } from "../../../contract/failure-of.ts";

test("a promise that settles first settles it", async () => {
  const { signal } = new AbortController();
  const refused = new Error("refused");
  expect(await abortable(Promise.resolve(7), signal)).toBe(7);
  expect(await failureOf(abortable(Promise.reject(refused), signal))).toBe(refused);
});

test("an abort rejects with its reason, whatever the promise does then", async () => {
  const stop = new AbortController();
  const slow = Promise.withResolvers<number>();
  const waiting = failureOf(abortable(slow.promise, stop.signal));
  const reason = new Error("enough");
  stop.abort(reason);
  expect(await waiting).toBe(reason);
  slow.reject(new Error("later")); // Nobody is left to be told: it must not end the process.
  await Bun.sleep(0);
});

test("with a signal that was aborted before, the promise is not waited for", async () => {
  const reason = new Error("before");
  const never = new Promise<number>(() => undefined);
  expect(await failureOf(abortable(never, AbortSignal.abort(reason)))).toBe(reason);
});
