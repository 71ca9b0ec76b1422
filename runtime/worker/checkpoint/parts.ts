import { type KeyTable } from "../../codec/key-table.ts";
import { type ColumnStore } from "../../window/column-store.ts";
import { type PendingRows } from "../task/pending-rows.ts";
import { type ByteReader, type ByteWriter, corrupt } from "./bytes.ts";

/**
 * A piece of a task's state that can be saved and brought back. A base and the deltas written after
 * it, read in this order, give the state at the last of them, to the bit.
 */
export interface CheckpointPart {
  /** Writes all of it; the next delta begins here. */
  writeBase(out: ByteWriter): void;
  /** Writes what changed since the last base or delta. */
  writeDelta(out: ByteWriter): void;
  /** Reads a base or a delta. @throws QmtlError CHECKPOINT_CORRUPT. */
  read(input: ByteReader): void;
}

/**
 * Rows of a store: per changed slot its number, how many new rows follow (all it holds if the past
 * was changed), the newest close, and the rows column by column.
 */
export class StorePart implements CheckpointPart {
  readonly #store: ColumnStore;
  readonly #saved: Float64Array;

  constructor(store: ColumnStore) {
    this.#store = store;
    this.#saved = new Float64Array(store.slots);
  }

  writeBase(out: ByteWriter): void {
    this.#saved.fill(0);
    this.writeDelta(out);
  }

  writeDelta(out: ByteWriter): void {
    const { stamps, slots } = this.#store;
    const countAt = out.holdU32();
    let count = 0;
    for (let slot = 0; slot < slots; slot += 1) {
      if (stamps[slot] === this.#saved[slot]) continue;
      this.#writeSlot(out, slot);
      this.#saved[slot] = stamps[slot]!;
      count += 1;
    }
    out.setU32(countAt, count);
  }

  read(input: ByteReader): void {
    const store = this.#store;
    const { columnCount, slots, stride, values } = store;
    const count = input.u32();
    for (let i = 0; i < count; i += 1) {
      const slot = input.u32();
      const rows = input.u32();
      const isWhole = input.u32() === 1;
      if (slot >= slots || rows > store.period) throw corrupt(`slot ${slot} of ${slots}`);
      const stamp = input.f64();
      const close = input.f64();
      if (isWhole) store.clear(slot);
      const places = Array.from({ length: rows }, () => store.append(slot));
      // Appending may have moved the block's rows: the last place tells where they ended up.
      const end = (places.at(-1) ?? 0) + 1;
      for (let column = 0; column < columnCount; column += 1) {
        input.floats(values, end - rows + column * stride, rows);
      }
      store.stamps[slot] = stamp;
      store.closes[slot] = close;
      this.#saved[slot] = stamp;
    }
  }

  #writeSlot(out: ByteWriter, slot: number): void {
    const { closes, columnCount, ends, rows, slotSize, stamps, stride, values } = this.#store;
    const held = rows[slot]!;
    const fresh = stamps[slot]! - this.#saved[slot]!;
    const isWhole = this.#saved[slot] === 0 || fresh > held;
    const count = isWhole ? held : fresh;
    out.u32(slot);
    out.u32(count);
    out.u32(isWhole ? 1 : 0);
    out.f64(stamps[slot]!);
    out.f64(closes[slot]!);
    const from = slot * slotSize + ends[slot]! - count;
    for (let column = 0; column < columnCount; column += 1) {
      out.floats(values, from + column * stride, count);
    }
  }
}

/** Floats by slot, `width` each: what differs from the last save is written. */
export class FloatsPart implements CheckpointPart {
  readonly #read: (slot: number) => Float64Array | undefined;
  readonly #open: (slot: number) => Float64Array;
  readonly #slots: number;
  readonly #width: number;
  readonly #saved = new Map<number, Float64Array>();

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
  }

  /** The floats of one array, one a slot. */
  static ofArray(values: Float64Array): FloatsPart {
    const one = (slot: number): Float64Array => values.subarray(slot, slot + 1);
    return new FloatsPart(values.length, 1, one, one);
  }

  writeBase(out: ByteWriter): void {
    this.#saved.clear();
    this.writeDelta(out);
  }

  writeDelta(out: ByteWriter): void {
    const countAt = out.holdU32();
    let count = 0;
    for (let slot = 0; slot < this.#slots; slot += 1) {
      const floats = this.#read(slot);
      if (floats === undefined || isSame(floats, this.#saved.get(slot))) continue;
      out.u32(slot);
      out.floats(floats, 0, this.#width);
      this.#saved.set(slot, floats.slice());
      count += 1;
    }
    out.setU32(countAt, count);
  }

  read(input: ByteReader): void {
    const count = input.u32();
    for (let i = 0; i < count; i += 1) {
      const slot = input.u32();
      if (slot >= this.#slots) throw corrupt(`slot ${slot} of ${this.#slots}`);
      const floats = this.#open(slot);
      input.floats(floats, 0, this.#width);
      this.#saved.set(slot, floats.slice());
    }
  }
}

/** Bit for bit, so that NaN equals NaN. */
function isSame(a: Float64Array, b: Float64Array | undefined): boolean {
  if (b === undefined) return false;
  for (let i = 0; i < a.length; i += 1) if (!Object.is(a[i], b[i])) return false;
  return true;
}

/** Keys in the order of their slots: the new ones since the last save. */
export class KeysPart implements CheckpointPart {
  readonly #keys: KeyTable;
  #saved = 0;

  constructor(keys: KeyTable) {
    this.#keys = keys;
  }

  writeBase(out: ByteWriter): void {
    this.#saved = 0;
    this.writeDelta(out);
  }

  writeDelta(out: ByteWriter): void {
    out.u32(this.#saved);
    out.u32(this.#keys.count - this.#saved);
    for (let slot = this.#saved; slot < this.#keys.count; slot += 1) {
      out.bytes(this.#keys.bytesOf(slot));
    }
    this.#saved = this.#keys.count;
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

/** Records that wait for a join: all of them each time, since most come and go between two saves. */
export class PendingPart implements CheckpointPart {
  readonly #rows: readonly PendingRows[];

  constructor(rows: readonly PendingRows[]) {
    this.#rows = rows;
  }

  writeBase(out: ByteWriter): void {
    for (const rows of this.#rows) {
      out.u32(rows.count);
      rows.each((values, at, width) => out.floats(values, at, width));
    }
  }

  writeDelta(out: ByteWriter): void {
    this.writeBase(out);
  }

  read(input: ByteReader): void {
    for (const rows of this.#rows) {
      const count = input.u32();
      const row = new Float64Array(rows.width);
      rows.clear();
      for (let i = 0; i < count; i += 1) {
        input.floats(row, 0, row.length);
        rows.push(row[0]!, row, 1, 1);
      }
    }
  }
}
