import { expect, test } from "bun:test";
import { FoundRecords } from "../../../../../runtime/worker/live/output/found-records.ts";

const keyOf = (text: string): Uint8Array => Buffer.from(text, "latin1");

/** Records of key "a" at 1, 2 and 3, of "b" at 2. */
function found(): FoundRecords {
  const records = new FoundRecords(100);
  for (const ts of [2, 1, 3]) records.add(keyOf("a"), ts);
  records.add(keyOf("b"), 2);
  return records;
}

test("each record is found once, by its key and its time", () => {
  const records = found();
  expect([records.from, records.count]).toEqual([100, 4]);
  expect([1, 1, 2].map((ts) => records.has(0, keyOf("a"), ts))).toEqual([true, false, true]);
  expect([records.has(1, keyOf("b"), 2), records.has(2, keyOf("c"), 2)]).toEqual([true, false]);
  expect(records.count).toBe(1);
});

test("a copy counts once, and keys are told apart by their bytes", () => {
  const records = new FoundRecords(0);
  records.add(Uint8Array.of(0xff), 1);
  records.add(Uint8Array.of(0xff), 1);
  records.add(Uint8Array.of(0xfe), 1);
  expect(records.count).toBe(2);
  expect(records.has(0, Uint8Array.of(0xff), 1)).toBe(true);
  expect(records.has(1, Uint8Array.of(0xfe), 1)).toBe(true);
});

test("one that was passed over will not come again, and counts no more (F1)", () => {
  const records = found();
  expect(records.has(0, keyOf("a"), 3)).toBe(true);
  // 1 and 2 went with it; b's own is left.
  expect(records.count).toBe(1);
  expect(records.has(0, keyOf("a"), 2)).toBe(false);
  expect(records.has(1, keyOf("b"), 9)).toBe(false);
  expect(records.count).toBe(0);
});
