import { expect, test } from "bun:test";
import { Shares } from "../../../connectors/memory/shares.ts";

const signal = new AbortController().signal;

test("openers of one name share data until the last of them lets go; no name shares nothing", () => {
  const shares = new Shares<{ value: number }>();
  const [a, b] = [shares.hold("x", () => ({ value: 1 })), shares.hold("x", () => ({ value: 2 }))];
  a.data.value = 7;
  expect(b.use("read", signal).value).toBe(7);
  a.release();
  // Twice is once: the other's hold stays.
  a.release();
  expect(shares.hold("x", () => ({ value: 3 })).data.value).toBe(7);
  const [c, d] = [shares.hold("", () => ({ value: 4 })), shares.hold("", () => ({ value: 5 }))];
  expect([c.data.value, d.data.value]).toEqual([4, 5]);
});

test("data that nobody holds any more is gone", () => {
  const shares = new Shares<{ value: number }>();
  shares.hold("x", () => ({ value: 1 })).release();
  expect(shares.hold("x", () => ({ value: 2 })).data.value).toBe(2);
});

test("use() of what was released is STORE_CLOSED and names the action; an aborted caller gets its reason", () => {
  const share = new Shares<object>().hold("", () => ({}));
  expect(() => share.use("read", AbortSignal.abort(new Error("enough")))).toThrow("enough");
  share.release();
  expect(() => share.use("write rows", signal)).toThrow(
    "Cannot write rows: the store is closed, wanted it open",
  );
});
