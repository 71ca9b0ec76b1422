import { expect, test } from "bun:test";
import { murmur2, partitionOf } from "../../../runtime/codec/partitioner.ts";

// The values of Kafka's own UtilsTest.testMurmur2.
const known: readonly (readonly [string, number])[] = [
  ["21", -973_932_308],
  ["foobar", -790_332_482],
  ["a-little-bit-long-string", -985_981_536],
  ["a-little-bit-longer-string", -1_486_304_829],
  ["lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971],
  ["abc", 479_470_107],
];

test("murmur2() equals Java's on its published values, at any place in a buffer", () => {
  for (const [text, wanted] of known) {
    const bytes = new TextEncoder().encode(`##${text}??`);
    expect(murmur2(bytes, 2, bytes.length - 4)).toBe(wanted);
  }
});

test("partitionOf() takes the hash without its sign bit modulo the partitions", () => {
  for (const [text, hash] of known) {
    const bytes = new TextEncoder().encode(text);
    expect(partitionOf(bytes, 0, bytes.length, 8)).toBe((hash & 0x7fffffff) % 8);
  }
  expect(partitionOf(new Uint8Array(0), 0, 0, 1)).toBe(0);
});
