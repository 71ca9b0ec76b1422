import { expect, test } from "bun:test";
import { compressionError, Scratch } from "../../../../runtime/codec/compression/scratch.ts";

test("what was written is kept while the memory grows, and forgotten by clear() (R1)", () => {
  const scratch = new Scratch(200_000);
  scratch.reserve(3).set([1, 2, 3]);
  scratch.length = 3;
  scratch.reserve(100_000);
  expect([...scratch.written()]).toEqual([1, 2, 3]);
  expect(scratch.bytes.length).toBeGreaterThanOrEqual(100_003);
  const { bytes } = scratch;
  scratch.clear();
  expect(scratch.written()).toHaveLength(0);
  // The memory is used again.
  expect(scratch.reserve(100_000)).toBe(bytes);
});

test("its limit is exact, and one byte more is refused by name", () => {
  const scratch = new Scratch(100_000);
  scratch.length = 99_990;
  expect(scratch.reserve(10)).toHaveLength(100_000);
  expect(() => scratch.reserve(11)).toThrow("more than 100000 bytes");
  expect(scratch.reserveUpTo(1_000_000)).toBe(100_000);
  expect(new Scratch(100_000).reserveUpTo(70_000)).toBe(70_000);
});

test("a fault of compressed bytes is BATCH_CORRUPT with its reason", () => {
  const { code, details } = compressionError("compressed_data", "it is cut");
  expect([code, details]).toEqual(["BATCH_CORRUPT", { reason: "compressed_data" }]);
});
