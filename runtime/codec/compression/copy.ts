/** Below this many bytes a loop beats a call of `copyWithin` or `set`. */
const shortBytes = 24;

/** Copies `source[from, from + count)` to `target` at `at`; the ranges are in bounds. */
// oxlint-disable-next-line eslint/max-params -- runs per literal of a compressed block
export function copyLiteral(
  source: Uint8Array,
  from: number,
  target: Uint8Array,
  at: number,
  count: number,
): void {
  if (count > shortBytes) {
    target.set(source.subarray(from, from + count), at);
    return;
  }
  for (let i = 0; i < count; i += 1) target[at + i] = source[from + i]!;
}

/**
 * Repeats what lies `distance` bytes back, `count` bytes on; where the ranges overlap the copied
 * bytes are copied again, as both formats mean it.
 */
// oxlint-disable-next-line eslint/max-params -- runs per match of a compressed block
export function copyMatch(bytes: Uint8Array, at: number, distance: number, count: number): void {
  const from = at - distance;
  if (count > shortBytes && distance >= count) {
    bytes.copyWithin(at, from, from + count);
    return;
  }
  for (let i = 0; i < count; i += 1) bytes[at + i] = bytes[from + i]!;
}

/** First position from `a` on where `bytes[a]` and `bytes[b]` differ, at most `end`; a > b. */
// oxlint-disable-next-line eslint/max-params -- runs per match of a block being compressed
export function matchEnd(bytes: Uint8Array, a: number, b: number, end: number): number {
  let at = a;
  let other = b;
  while (at < end && bytes[at] === bytes[other]) {
    at += 1;
    other += 1;
  }
  return at;
}

/** Slot of the four bytes at `at` in a table of 2^14 positions. */
export function matchSlot(bytes: Uint8Array, at: number): number {
  const word = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
  return Math.imul(word, 0x9e3779b1) >>> 18;
}

/** Positions of a `matchSlot` table. */
export const matchSlots = 1 << 14;
