import { type KeyTable } from "../../codec/key-table.ts";
import { type ColumnStore } from "../../window/column-store.ts";
import { type PendingRows } from "../task/pending-rows.ts";
import { type ByteReader, type ByteWriter, corrupt } from "./bytes.ts";

/**
 * A part of a task's state that can be saved and brought back. Deltas read in the order they were
 * written give the state at the last of them, to the bit; a base is deltas that begin with nothing.
 * Reading all of them again, from the first on, changes nothing.
 */
export interface CheckpointPart {
  /** Takes nothing for saved: the next deltas hold all there is. */
  beginBase(): void;
  /**
   * Writes what changed since the last delta until `out` is full; false if more is left for the next
   * one.
   */
  writeDelta(out: ByteWriter): boolean;
  /** Reads a delta. @throws QmtlError CHECKPOINT_CORRUPT. */
  read(input: ByteReader): void;
}

/** Floats before the rows of a slot: slot, rows that follow, isWhole, stamp, close. */
const slotHeader = 5;

/**
 * Rows of a store: per changed slot its number, how many new rows follow (all it holds if the past
 * was changed), the newest close, and the rows column by column.
 */
export class StorePart implements CheckpointPart {
  readonly #store: ColumnStore;
  /** Stamps at the last save, by slot; 0 is a slot without any. */
  readonly #saved: Float64Array;

  constructor(store: ColumnStore) {
    this.#store = store;
    this.#saved = new Float64Array(store.slots);
  }

  beginBase(): void {
    this.#saved.fill(0);
  }

  writeDelta(out: ByteWriter): boolean {
    const saved = this.#saved;
    const { stamps, slots } = this.#store;
    const countAt = out.holdU32();
    let count = 0;
    let slot = 0;
    for (; slot < slots && !out.isFull; slot += 1) {
      if (stamps[slot] === saved[slot]) continue;
      this.#writeSlot(out, slot);
      saved[slot] = stamps[slot]!;
      count += 1;
    }
    out.setU32(countAt, count);
    return slot === slots;
  }

  read(input: ByteReader): void {
    const store = this.#store;
    const count = input.u32();
    for (let i = 0; i < count; i += 1) {
      const at = input.take(slotHeader);
      const { numbers } = input;
      // As int32: an index that is kept as a float costs a conversion at each access.
      const slot = numbers[at]! | 0;
      const rows = numbers[at + 1]! | 0;
      const isWhole = numbers[at + 2] === 1;
      if (slot < 0 || slot >= store.slots || rows < 0 || rows > store.period) {
        throw corrupt(`slot ${slot} with ${rows} rows, of ${store.slots} with ${store.period}`);
      }
      if (isWhole) store.clear(slot);
      else if (store.stamps[slot]! + rows !== numbers[at + 3]) {
        throw corrupt(`a change of slot ${slot} that does not follow on the one before it`);
      }
      this.#readRows(input, slot, rows);
      store.stamps[slot] = numbers[at + 3]!;
      store.closes[slot] = numbers[at + 4]!;
      this.#saved[slot] = numbers[at + 3]!;
    }
  }

  #readRows(input: ByteReader, slot: number, count: number): void {
    const { columnCount, ends, slotSize, stride, values } = this.#store;
    this.#addRows(slot, count);
    // Adding may have moved the block's rows: the end tells where they are.
    let to = slot * slotSize + ends[slot]! - count;
    let from = input.take(columnCount * count);
    const { numbers } = input;
    for (let column = 0; column < columnCount; column += 1) {
      // Twice as fast as `set` of a subarray, for windows of usual length.
      for (let i = 0; i < count; i += 1) values[to + i] = numbers[from + i]!;
      from += count;
      to += stride;
    }
  }

  /** `count` rows without values: at once if the block has room, else as rows come. */
  #addRows(slot: number, count: number): void {
    const { ends, period, rows, stride } = this.#store;
    const end = ends[slot]! + count;
    if (end > stride) {
      for (let i = 0; i < count; i += 1) this.#store.append(slot);
      return;
    }
    ends[slot] = end;
    rows[slot] = Math.min(period, rows[slot]! + count);
  }

  #writeSlot(out: ByteWriter, slot: number): void {
    const { closes, columnCount, ends, rows, slotSize, stamps, stride, values } = this.#store;
    const held = rows[slot]!;
    // As int32 here too; stamps themselves may go beyond it.
    const fresh = Math.min(stamps[slot]! - this.#saved[slot]!, held + 1) | 0;
    const isWhole = this.#saved[slot] === 0 || fresh > held;
    const count = isWhole ? held : fresh;
    const at = out.reserve(slotHeader + columnCount * count);
    const { numbers } = out;
    numbers[at] = slot;
    numbers[at + 1] = count;
    numbers[at + 2] = isWhole ? 1 : 0;
    numbers[at + 3] = stamps[slot]!;
    numbers[at + 4] = closes[slot]!;
    let from = slot * slotSize + ends[slot]! - count;
    let to = at + slotHeader;
    for (let column = 0; column < columnCount; column += 1) {
      for (let i = 0; i < count; i += 1) numbers[to + i] = values[from + i]!;
      from += stride;
      to += count;
    }
  }
}

/**
 * Floats by slot, `width` each, in arrays of their own: what differs from the last save is written,
 * slot and floats after each other.
 */
export class FloatsPart implements CheckpointPart {
  readonly #read: (slot: number) => Float64Array | undefined;
  readonly #open: (slot: number) => Float64Array;
  readonly #slots: number;
  readonly #width: number;
  readonly #saved: SavedFloats;

  /** `read` gives a slot's floats if it has any, `open` makes them. */
  constructor(
    slots: number,
    width: number,
    read: (slot: number) => Float64Array | undefined,
    open: (slot: number) => Float64Array,
  ) {
    this.#slots = slots;
    this.#width = width;
    this.#read = read;
    this.#open = open;
    this.#saved = new SavedFloats(slots, width);
  }

  /** The floats of one array, one a slot. */
  static ofArray(values: Float64Array): CheckpointPart {
    return new ArrayPart(values);
  }

  beginBase(): void {
    this.#saved.clear();
  }

  writeDelta(out: ByteWriter): boolean {
    const countAt = out.holdU32();
    let count = 0;
    let slot = 0;
    for (; slot < this.#slots && !out.isFull; slot += 1) {
      const floats = this.#read(slot);
      if (floats === undefined || !this.#saved.take(slot, floats, 0)) continue;
      const at = out.reserve(1 + this.#width);
      out.numbers[at] = slot;
      for (let i = 0; i < this.#width; i += 1) out.numbers[at + 1 + i] = floats[i]!;
      count += 1;
    }
    out.setU32(countAt, count);
    return slot === this.#slots;
  }

  read(input: ByteReader): void {
    const count = input.u32();
    for (let i = 0; i < count; i += 1) {
      const slot = input.f64();
      if (!(slot < this.#slots)) throw corrupt(`slot ${slot} of ${this.#slots}`);
      const floats = this.#open(slot);
      input.floats(floats, 0, this.#width);
      this.#saved.take(slot, floats, 0);
    }
  }
}

/** The same with one array for all slots, one float a slot. */
class ArrayPart implements CheckpointPart {
  readonly #values: Float64Array;
  readonly #saved: SavedFloats;

  constructor(values: Float64Array) {
    this.#values = values;
    this.#saved = new SavedFloats(values.length, 1);
  }

  beginBase(): void {
    this.#saved.clear();
  }

  writeDelta(out: ByteWriter): boolean {
    const countAt = out.holdU32();
    let count = 0;
    let slot = 0;
    for (; slot < this.#values.length && !out.isFull; slot += 1) {
      if (!this.#saved.take(slot, this.#values, slot)) continue;
      const at = out.reserve(2);
      out.numbers[at] = slot;
      out.numbers[at + 1] = this.#values[slot]!;
      count += 1;
    }
    out.setU32(countAt, count);
    return slot === this.#values.length;
  }

  read(input: ByteReader): void {
    const count = input.u32();
    for (let i = 0; i < count; i += 1) {
      const slot = input.f64();
      if (!(slot < this.#values.length)) throw corrupt(`slot ${slot} of ${this.#values.length}`);
      this.#values[slot] = input.f64();
      this.#saved.take(slot, this.#values, slot);
    }
  }
}

/** What was saved last, by slot. */
class SavedFloats {
  readonly #width: number;
  readonly #values: Float64Array;
  readonly #isThere: Uint8Array;

  constructor(slots: number, width: number) {
    this.#width = width;
    this.#values = new Float64Array(slots * width);
    this.#isThere = new Uint8Array(slots);
  }

  clear(): void {
    this.#isThere.fill(0);
  }

  /** Takes the slot's floats, which lie at `from`; false if they are those it had, to the bit. */
  take(slot: number, floats: Float64Array, from: number): boolean {
    const to = slot * this.#width;
    let isNew = this.#isThere[slot] === 0;
    for (let i = 0; i < this.#width; i += 1) {
      // NaN equals NaN here, and -0 is not 0.
      if (Object.is(this.#values[to + i], floats[from + i])) continue;
      this.#values[to + i] = floats[from + i]!;
      isNew = true;
    }
    this.#isThere[slot] = 1;
    return isNew;
  }
}

/** Keys in the order of their slots: the new ones since the last save. */
export class KeysPart implements CheckpointPart {
  readonly #keys: KeyTable;
  #saved = 0;

  constructor(keys: KeyTable) {
    this.#keys = keys;
  }

  beginBase(): void {
    this.#saved = 0;
  }

  writeDelta(out: ByteWriter): boolean {
    const first = this.#saved;
    out.u32(first);
    const countAt = out.holdU32();
    for (; this.#saved < this.#keys.count && !out.isFull; this.#saved += 1) {
      out.bytes(this.#keys.bytesOf(this.#saved));
    }
    out.setU32(countAt, this.#saved - first);
    return this.#saved === this.#keys.count;
  }

  read(input: ByteReader): void {
    const first = input.u32();
    const count = input.u32();
    for (let i = 0; i < count; i += 1) {
      const key = input.bytes();
      if (this.#keys.slotOf(key, 0, key.length) !== first + i) {
        throw corrupt(`key "${new TextDecoder().decode(key)}" in another slot than ${first + i}`);
      }
    }
    this.#saved = this.#keys.count;
  }
}

/** In place of a count of waiting records: they are as they were, or in the next delta. */
const notHere = 0xffff_ffff;

/**
 * Records that wait for a join: all of a key and input if any of them came or went since the last
 * save, since most do.
 */
export class PendingPart implements CheckpointPart {
  readonly #rows: readonly PendingRows[];
  /** Versions at the last save; −1 before the first. */
  readonly #saved: Float64Array;

  constructor(rows: readonly PendingRows[]) {
    this.#rows = rows;
    this.#saved = new Float64Array(rows.length).fill(-1);
  }

  beginBase(): void {
    this.#saved.fill(-1);
  }

  writeDelta(out: ByteWriter): boolean {
    let isWhole = true;
    for (const [slot, rows] of this.#rows.entries()) {
      const isChanged = rows.version !== this.#saved[slot];
      if (!isChanged || out.isFull) {
        if (isChanged) isWhole = false;
        out.u32(notHere);
        continue;
      }
      this.#saved[slot] = rows.version;
      out.u32(rows.count);
      rows.each((values, at, width) => out.floats(values, at, width));
    }
    return isWhole;
  }

  read(input: ByteReader): void {
    for (const [slot, rows] of this.#rows.entries()) {
      const count = input.u32();
      if (count === notHere) continue;
      const row = new Float64Array(rows.width);
      rows.clear();
      for (let i = 0; i < count; i += 1) {
        input.floats(row, 0, row.length);
        rows.push(row[0]!, row, 1, 1);
      }
      this.#saved[slot] = rows.version;
    }
  }
}
