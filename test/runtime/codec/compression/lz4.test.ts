import { expect, test } from "bun:test";
import { lz4Compress, lz4Decompress } from "../../../../runtime/codec/compression/lz4.ts";
import { Scratch } from "../../../../runtime/codec/compression/scratch.ts";

// Frames written by hand after LZ4's format descriptions; text stands for its bytes.
function unpacked(...parts: readonly (number | string)[]): string {
  const output = new Scratch(1 << 20);
  lz4Decompress(bytesOf(...parts), output);
  return Buffer.from(output.written()).toString("latin1");
}

function bytesOf(...parts: readonly (number | string)[]): Uint8Array {
  return Uint8Array.from(
    parts.flatMap((part) => [...Buffer.from(typeof part === "string" ? part : [part])]),
  );
}

/** Magic, version 1 with independent blocks, blocks of 64 KiB, the checksum of both. */
const header = [0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82] as const;
const end = [0, 0, 0, 0] as const;

test("a block is sequences: literals, then a match of four or more bytes", () => {
  // Three literals, 6 bytes from 3 back (6 − 4 = 2); one literal at the end.
  const block = [0x32, "abc", 3, 0, 0x10, "!"] as const;
  expect(unpacked(...header, 8, 0, 0, 0, ...block, ...end)).toBe("abcabcabc!");
  expect(unpacked(...header, ...end)).toBe("");
});

test("lengths from 15 on go over several bytes", () => {
  // 15 + 5 literals; a match of 4 + 15 + 255 + 2 bytes from 1 back; no more literals.
  const block = [0xff, 5, "x".repeat(20), 1, 0, 255, 2, 0] as const;
  expect(unpacked(...header, 27, 0, 0, 0, ...block, ...end)).toBe("x".repeat(296));
});

test("a block with the top bit of its length set is taken as it is", () => {
  expect(unpacked(...header, 5, 0, 0, 0x80, "hello", 2, 0, 0, 0x80, "!!", ...end)).toBe("hello!!");
});

test("what compress() writes begins with the header and ends with the mark; noise does not grow", () => {
  const output = new Scratch(1 << 20);
  const noise = Uint8Array.from(
    { length: 1_000 },
    (_, i) => Math.imul(i + 1, 2_654_435_761) >>> 24,
  );
  lz4Compress(noise, output);
  expect([...output.written().subarray(0, 7)]).toEqual([...header]);
  expect([...output.written().subarray(-4)]).toEqual([...end]);
  expect(output.length).toBeLessThanOrEqual(7 + 4 + 1_000 + 4);
});

test("damage is named", () => {
  for (const [says, ...parts] of [
    ["the magic is missing", "hello, world"],
    ["the header checksum is wrong", ...header.slice(0, 6), 0x83, ...end],
    ["the end mark is missing", ...header],
    ["a block is cut off", ...header, 9, 0, 0, 0, 0x10],
    ["bytes follow the end mark", ...header, ...end, 0],
  ] as const) {
    expect(() => unpacked(...parts)).toThrow(says);
  }
  // A match from before the first byte.
  expect(() => unpacked(...header, 6, 0, 0, 0, 0x12, "a", 2, 0, 0x10, "!", ...end)).toThrow(
    "Cannot decompress a record batch",
  );
});
