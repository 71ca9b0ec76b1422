import { expect, test } from "bun:test";
import { Scratch } from "../../../../runtime/codec/compression/scratch.ts";
import { snappyCompress, snappyDecompress } from "../../../../runtime/codec/compression/snappy.ts";

// Blocks written by hand after Snappy's format description; text stands for its bytes.
function unpacked(...parts: readonly (number | string)[]): string {
  const output = new Scratch(1 << 20);
  snappyDecompress(bytesOf(...parts), output);
  return Buffer.from(output.written()).toString("latin1");
}

function bytesOf(...parts: readonly (number | string)[]): Uint8Array {
  return Uint8Array.from(
    parts.flatMap((part) => [...Buffer.from(typeof part === "string" ? part : [part])]),
  );
}

test("a raw block: its length, literals, and copies of one, two and four bytes of distance", () => {
  expect(unpacked(5, 4 << 2, "hello")).toBe("hello");
  // "abc", then 6 from 3 back: (6 − 4) << 2 | 1, distance 3.
  expect(unpacked(9, 2 << 2, "abc", (2 << 2) | 1, 3)).toBe("abcabcabc");
  expect(unpacked(5, 2 << 2, "abc", (1 << 2) | 2, 3, 0)).toBe("abcab");
  expect(unpacked(5, 2 << 2, "abc", (1 << 2) | 3, 2, 0, 0, 0)).toBe("abcbc");
  // A literal above 60 bytes has its length in a byte of its own: 100 − 1.
  expect(unpacked(100, 60 << 2, 99, "x".repeat(100))).toBe("x".repeat(100));
});

const frame = [0x82, "SNAPPY", 0, 0, 0, 0, 1, 0, 0, 0, 1] as const;

test("framed blocks follow each other", () => {
  const block = [0, 0, 0, 4, 2, 1 << 2, "hi"] as const;
  expect(unpacked(...frame, ...block, ...block)).toBe("hihi");
  expect(unpacked(...frame)).toBe("");
});

test("what compress() writes is framed, and repeats cost little", () => {
  const output = new Scratch(1 << 20);
  snappyCompress(bytesOf("ab".repeat(5_000)), output);
  expect([...output.written().subarray(0, 16)]).toEqual([...bytesOf(...frame)]);
  // Copies have 64 bytes at most and take three: 10,000 / 64 · 3.
  expect(output.length).toBeLessThan(500);
});

test("damage is named", () => {
  for (const [says, ...parts] of [
    ["a literal runs past the end", 5, 4 << 2, "hell"],
    ["a literal runs past the end", 4, 4 << 2, "hello"],
    ["shorter than it says", 6, 4 << 2, "hello"],
    ["a copy points outside", 9, 2 << 2, "abc", (2 << 2) | 1, 4],
    ["a copy points outside", 9, 2 << 2, "abc", (2 << 2) | 1, 0],
    ["a copy is cut off", 9, 2 << 2, "abc", (2 << 2) | 2, 3],
    ["the size of a block is cut off", 0x80],
    ["a block length is cut off", ...frame, 0, 0],
    ["a block is cut off", ...frame, 0, 0, 0, 9, 2],
  ] as const) {
    expect(() => unpacked(...parts)).toThrow(says);
  }
});
