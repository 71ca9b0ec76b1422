import { assert } from "../core/assert.ts";

/**
 * Partition of the key `bytes[from, from + length)` among `partitions`, as Java's default
 * partitioner chooses it: keys written by any Kafka client meet ours.
 */
// oxlint-disable-next-line eslint/max-params -- a byte range and a count: an object a key is too dear
export function partitionOf(
  bytes: Uint8Array,
  from: number,
  length: number,
  partitions: number,
): number {
  assert(partitions >= 1, "a topic has partitions");
  return (murmur2(bytes, from, length) & 0x7fffffff) % partitions;
}

/** Java's `Utils.murmur2` of `bytes[from, from + length)`: a signed 32-bit integer. O(length). */
export function murmur2(bytes: Uint8Array, from: number, length: number): number {
  const wholeEnd = from + (length & ~3);
  let hash = seed ^ length;
  for (let at = from; at < wholeEnd; at += 4) {
    const word =
      bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
    const mixed = Math.imul(word, multiplier);
    hash = Math.imul(hash, multiplier) ^ Math.imul(mixed ^ (mixed >>> 24), multiplier);
  }
  const rest = length & 3;
  if (rest === 3) hash ^= bytes[wholeEnd + 2]! << 16;
  if (rest >= 2) hash ^= bytes[wholeEnd + 1]! << 8;
  if (rest >= 1) hash = Math.imul(hash ^ bytes[wholeEnd]!, multiplier);
  hash = Math.imul(hash ^ (hash >>> 13), multiplier);
  return hash ^ (hash >>> 15);
}

const seed = 0x9747b28c | 0;
const multiplier = 0x5bd1e995;
