import { type BenchCase } from "./harness.ts";

/**
 * Going over `bytes` once, 4 bytes at a time in 4 chains: no reader of all of them is faster. What
 * skips bytes may be.
 */
export function readingOf(bytes: Uint8Array, rows: number): BenchCase {
  const words = new Int32Array(Uint8Array.from(bytes).buffer, 0, (bytes.length >> 4) << 2);
  const run = (): number => {
    let a = 0;
    let b = 0;
    let c = 0;
    let d = 0;
    for (let i = 0; i < words.length; i += 4) {
      a ^= words[i]!;
      b ^= words[i + 1]!;
      c ^= words[i + 2]!;
      d ^= words[i + 3]!;
    }
    return a ^ b ^ c ^ d;
  };
  return { name: "pass over the same bytes", role: "limit", rows, digest: run(), run };
}

/** Copying `bytes` once: no writer of them can be faster than the memory is. */
export function copyingOf(bytes: Uint8Array, rows: number): BenchCase {
  const target = new Uint8Array(bytes.length);
  const last = bytes.length - 1;
  const run = (): number => {
    target.set(bytes);
    return target[last]!;
  };
  return { name: "copy of the same bytes", role: "limit", rows, digest: bytes[last]!, run };
}
