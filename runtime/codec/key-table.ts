import { assert } from "../core/assert.ts";

/** Limits of a `KeyTable`. */
export interface KeyTableLimits {
  /** Keys held, at most: 1 to 2^24. */
  readonly keysMax: number;
  /** Bytes of one key, at most (default 1,024). */
  readonly keyBytesMax?: number;
}

/**
 * Keys as small integers: the first key met is slot 0, the next new one slot 1. A key is found by
 * its bytes where they lie in a fetched batch, so no string is made for a record.
 *
 *   #slots   Int32[2^n]     open addressing, linear probing, slot + 1; 0 is free; at most half full
 *   #hashes  Int32[slot]    hash of the key, compared before its bytes
 *   #starts  Int32[slot]    where the key's bytes begin in #bytes; #starts[count] is the end
 *   #bytes   Uint8[]        all keys after each other
 *
 *   K1  A slot keeps its key for the life of the table; slots are 0 to count - 1 without a gap.
 *   K2  Equal bytes give the same slot, and only they do.
 *   K3  Nothing is allocated for a key that is known, or that finds no room.
 */
export class KeyTable {
  readonly #keysMax: number;
  readonly #keyBytesMax: number;
  #slots = new Int32Array(256);
  #hashes = new Int32Array(64);
  #starts = new Int32Array(65);
  /** Slot + 1 of the key that came after each slot the last time; 0 is none. */
  #followers = new Int32Array(64);
  #bytes = new Uint8Array(1_024);
  #count = 0;
  readonly #views: Uint8Array[] = [];
  readonly #texts: string[] = [];

  /** @throws RangeError if a limit is not an integer in its range. */
  constructor({ keysMax, keyBytesMax = 1_024 }: KeyTableLimits) {
    checkLimit("keysMax", keysMax, 2 ** 24);
    checkLimit("keyBytesMax", keyBytesMax, 2 ** 16);
    if (keysMax * keyBytesMax > 2 ** 31 - 1) {
      throw new RangeError(
        `Cannot size a key table: keysMax × keyBytesMax is ${keysMax * keyBytesMax}, wanted at most 2^31 - 1`,
      );
    }
    this.#keysMax = keysMax;
    this.#keyBytesMax = keyBytesMax;
  }

  /** A table of `keys` and no others, in their order; as long as the longest of them is. */
  static of(keys: readonly string[]): KeyTable {
    const all = keys.map((key) => new TextEncoder().encode(key));
    const keyBytesMax = Math.max(1_024, ...all.map(({ length }) => length));
    const table = new KeyTable({ keysMax: Math.max(1, keys.length), keyBytesMax });
    for (const bytes of all) table.slotOf(bytes, 0, bytes.length);
    return table;
  }

  /** Keys known so far. */
  get count(): number {
    return this.#count;
  }

  /**
   * Slot of the key `bytes[from, from + length)`, a new one if it was not known; -1 if it is new
   * and there is no room (`keysMax`), or it is longer than `keyBytesMax`. A null key has no slot:
   * `length` is >= 0.
   */
  slotOf(bytes: Uint8Array, from: number, length: number): number {
    assert(length >= 0, "a null key has no slot");
    const hash = hashOf(bytes, from, length);
    const slots = this.#slots;
    const hashes = this.#hashes;
    const mask = slots.length - 1;
    let at = hash & mask;
    for (let slot = slots[at]! - 1; slot >= 0; slot = slots[at]! - 1) {
      if (hashes[slot] === hash && this.#isKey(slot, bytes, from, length)) return slot;
      at = (at + 1) & mask;
    }
    // No view for a key that finds no room: a stream of a few keys may meet millions of others.
    if (this.#count === this.#keysMax || length > this.#keyBytesMax) return -1;
    return this.#add(hash, at, bytes.subarray(from, from + length));
  }

  /**
   * As `slotOf`, and quicker where keys come in turn, as the bars of many symbols do: the key that
   * came after `previous` the last time is compared first, without a hash. `previous` is a slot, or
   * -1.
   */
  // oxlint-disable-next-line eslint/max-params -- called once a record: no object, no view
  slotAfter(previous: number, bytes: Uint8Array, from: number, length: number): number {
    if (previous < 0) return this.slotOf(bytes, from, length);
    const guess = this.#followers[previous]! - 1;
    if (guess >= 0 && this.#isKey(guess, bytes, from, length)) return guess;
    const slot = this.slotOf(bytes, from, length);
    this.#followers[previous] = slot + 1;
    return slot;
  }

  /** Bytes of the key in `slot`, read only: a view that stays right for the life of the table. */
  bytesOf(slot: number): Uint8Array {
    assert(slot >= 0 && slot < this.#count, "the slot has a key");
    return this.#views[slot]!;
  }

  /** The key in `slot` as text; what is not UTF-8 reads as U+FFFD. */
  textOf(slot: number): string {
    assert(slot >= 0 && slot < this.#count, "the slot has a key");
    return this.#texts[slot]!;
  }

  // oxlint-disable-next-line eslint/max-params -- compared once a record: no object, no view
  #isKey(slot: number, bytes: Uint8Array, from: number, length: number): boolean {
    const starts = this.#starts;
    const known = this.#bytes;
    const start = starts[slot]!;
    if (starts[slot + 1]! - start !== length) return false;
    for (let i = 0; i < length; i += 1) if (known[start + i] !== bytes[from + i]) return false;
    return true;
  }

  #add(hash: number, at: number, key: Uint8Array): number {
    const slot = this.#count;
    if (slot === this.#hashes.length) this.#growSlots();
    const start = this.#starts[slot]!;
    if (start + key.length > this.#bytes.length) this.#growBytes(start + key.length);
    this.#bytes.set(key, start);
    this.#starts[slot + 1] = start + key.length;
    this.#hashes[slot] = hash;
    this.#slots[at] = slot + 1;
    this.#count = slot + 1;
    this.#views.push(this.#bytes.subarray(start, start + key.length));
    this.#texts.push(new TextDecoder().decode(key));
    if (this.#count * 2 > this.#slots.length) this.#rehash();
    return slot;
  }

  #growSlots(): void {
    const hashes = new Int32Array(this.#hashes.length * 2);
    hashes.set(this.#hashes);
    const starts = new Int32Array(hashes.length + 1);
    starts.set(this.#starts);
    const followers = new Int32Array(hashes.length);
    followers.set(this.#followers);
    this.#hashes = hashes;
    this.#starts = starts;
    this.#followers = followers;
  }

  #growBytes(wanted: number): void {
    const grown = new Uint8Array(Math.max(wanted, this.#bytes.length * 2));
    grown.set(this.#bytes);
    this.#bytes = grown;
    for (let slot = 0; slot < this.#count; slot += 1) {
      this.#views[slot] = grown.subarray(this.#starts[slot], this.#starts[slot + 1]);
    }
  }

  #rehash(): void {
    const slots = new Int32Array(this.#slots.length * 2);
    const mask = slots.length - 1;
    for (let slot = 0; slot < this.#count; slot += 1) {
      let at = this.#hashes[slot]! & mask;
      while (slots[at] !== 0) at = (at + 1) & mask;
      slots[at] = slot + 1;
    }
    this.#slots = slots;
  }
}

/** Four bytes a step, then the rest; mixed so that the low bits depend on every byte. */
function hashOf(bytes: Uint8Array, from: number, length: number): number {
  const wholeEnd = from + (length & ~3);
  const end = from + length;
  let hash = length;
  let at = from;
  for (; at < wholeEnd; at += 4) {
    const word =
      bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
    hash = Math.imul(hash ^ word, 0x9e3779b1);
    hash ^= hash >>> 15;
  }
  for (; at < end; at += 1) hash = Math.imul(hash ^ bytes[at]!, 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  return hash ^ (hash >>> 13);
}

function checkLimit(name: string, value: number, max: number): void {
  if (Number.isInteger(value) && value >= 1 && value <= max) return;
  throw new RangeError(
    `Cannot size a key table: ${name} is ${value}, wanted an integer from 1 to ${max}`,
  );
}
