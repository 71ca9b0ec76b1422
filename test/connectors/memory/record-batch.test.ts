import { expect, test } from "bun:test";
import {
  readBatchHeader,
  recordAtTime,
  setBaseOffset,
} from "../../../connectors/memory/record-batch.ts";
import { encodeBatch } from "../../contract/record-batch.ts";

const at = (...times: readonly number[]) =>
  encodeBatch(times.map((timeMs) => ({ key: "K", value: "v", timeMs })));

test("a batch's header says how many records it has and from when they are", () => {
  expect(readBatchHeader(at(5_000, 4_000, 9_000))).toEqual({
    recordCount: 3,
    baseTimeMs: 5_000,
    timeMsMax: 9_000,
  });
});

test("setBaseOffset() changes the first eight bytes alone: the checksum stays right", () => {
  const [one, other] = [at(1), at(1)];
  setBaseOffset(other, 4_294_967_301);
  expect(new DataView(other.buffer).getBigInt64(0)).toBe(4_294_967_301n);
  expect(other.subarray(8)).toEqual(one.subarray(8));
});

test("recordAtTime() is the first record of that time or later", () => {
  const batch = at(5_000, 4_000, 9_000);
  expect([0, 5_000, 5_001, 9_000, 9_001].map((timeMs) => recordAtTime(batch, timeMs))).toEqual([
    0, 0, 2, 2, 3,
  ]);
  // Compressed records are not looked into: a lower bound.
  new DataView(batch.buffer).setInt16(21, 4);
  expect(recordAtTime(batch, 9_000)).toBe(0);
});

test("what is not one whole batch is refused, saying why", () => {
  const batch = at(1, 2);
  const changed = (place: number, byte: number): Uint8Array => batch.with(place, byte);
  expect(() => readBatchHeader(batch.subarray(0, 60))).toThrow(
    "it has 60 bytes, wanted at least 61",
  );
  expect(() => readBatchHeader(changed(16, 1))).toThrow("its format is 1, wanted 2");
  expect(() => readBatchHeader(batch.subarray(0, -1))).toThrow("its header says");
  expect(() => readBatchHeader(changed(60, 9))).toThrow("it has 9 records and last offset 1");
});
