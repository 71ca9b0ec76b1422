import { expect, test } from "bun:test";
import { QmtlError } from "../../../../runtime/index.ts";
import { untilUp } from "../../../../runtime/worker/outage/until-up.ts";
import { failureOf } from "../../../contract/failure-of.ts";

const url = "redis://user:secret@127.0.0.1:6379";
const down = () => new QmtlError("STORE_UNAVAILABLE", "Cannot reach 127.0.0.1:6379: refused");
const signal = (): AbortSignal => AbortSignal.timeout(10_000);

/** An `open` that fails with each of `errors` in turn, then opens. */
function failing(...errors: readonly Error[]) {
  let tries = 0;
  const startedMs = performance.now();
  const triedMs: number[] = [];
  return {
    triedMs,
    open: async () => {
      triedMs.push(performance.now() - startedMs);
      const error = errors[tries];
      tries += 1;
      if (error !== undefined) throw error;
      return await Promise.resolve("opened");
    },
  };
}

test("what is up is opened at once and not spoken of", async () => {
  const notes: string[] = [];
  const { open } = failing();
  const onNote = (text: string) => notes.push(text);
  expect(await untilUp({ url, open, onNote }, signal())).toBe("opened");
  expect(notes).toEqual([]);
});

test("what is down is named once, without its password, and tried again with growing pauses", async () => {
  const notes: string[] = [];
  const { open, triedMs } = failing(down(), down(), down());
  const onNote = (text: string) => notes.push(text);
  expect(await untilUp({ url, open, onNote }, signal())).toBe("opened");
  expect(notes).toEqual([
    "Waiting for redis://***@127.0.0.1:6379, and trying again: Cannot reach 127.0.0.1:6379: refused",
    "redis://***@127.0.0.1:6379 is up: going on",
  ]);
  const pauses = triedMs.slice(1).map((ms, i) => ms - triedMs[i]!);
  for (const [i, least] of [250, 500, 1_000].entries()) {
    expect(pauses[i]).toBeGreaterThanOrEqual(least - 5);
  }
});

test("an attempt that goes on by itself is named after 2 s of silence", async () => {
  const notes: string[] = [];
  const named = Promise.withResolvers<void>();
  const opening = untilUp(
    {
      url,
      open: async () => await named.promise.then(() => "opened"),
      onNote: (text) => {
        notes.push(text);
        named.resolve();
      },
    },
    signal(),
  );
  expect(await opening).toBe("opened");
  expect(notes).toEqual([
    "Waiting for redis://***@127.0.0.1:6379, and trying again: it does not answer",
    "redis://***@127.0.0.1:6379 is up: going on",
  ]);
});

test("what waiting can't mend passes at once, and an abort ends the wait with its reason", async () => {
  const onNote = (): undefined => undefined;
  const refused = new QmtlError("CONFIG_INVALID", "Cannot open it: the password is wrong");
  expect(await failureOf(untilUp({ url, onNote, ...failing(refused) }, signal()))).toBe(refused);
  const abort = new AbortController();
  const waiting = failureOf(
    untilUp({ url, onNote, ...failing(down(), down(), down(), down()) }, abort.signal),
  );
  const reason = new Error("enough");
  abort.abort(reason);
  expect(await waiting).toBe(reason);
});

test("with a limit the last error passes once the next try would come after it", async () => {
  const onNote = (): undefined => undefined;
  const { open, triedMs } = failing(down(), down(), down(), down(), down());
  const failure = await failureOf(untilUp({ url, onNote, open, limitMs: 400 }, signal()));
  expect(failure).toMatchObject({ code: "STORE_UNAVAILABLE" });
  expect(triedMs).toHaveLength(2);
});
