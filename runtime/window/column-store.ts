import { assert } from "../core/assert.ts";

/** Keys above which memory counts for more than copies: blocks of 2 periods instead of 8. */
const manyKeys = 1_000;

/**
 * The last records of one definition, for all keys of a task, in one pool.
 *
 *   values  Float64[slot][column][stride]   column 0 = ts (ms), then the schema's fields in order
 *   ends    Int32[slot]      rows written to the slot's block; the newest row is at ends - 1
 *   rows    Int32[slot]      rows that may be read, at most `period`
 *   stamps  Float64[slot]    rises by 1 per appended row; jumps when history was changed
 *   closes  Float64[slot]    close time of the newest row, ms; -Infinity if there is none
 *
 * Owner: the task, alone. Never shared.
 *   C1  Rows of a slot lie in rising (ts) order; the newest is last.
 *   C2  When a block is full, its last `period` rows move to the front (append and compact).
 *   C3  The stride is an odd multiple of 8: a power of two would put all columns of a row into the
 *       same cache sets (2.5 times slower, measured).
 *   C4  Nothing is allocated after the constructor; untouched slots cost no memory.
 */
export class ColumnStore {
  readonly period: number;
  readonly columnCount: number;
  readonly slots: number;
  readonly stride: number;
  /** Float64s per slot. */
  readonly slotSize: number;
  readonly values: Float64Array;
  readonly ends: Int32Array;
  readonly rows: Int32Array;
  readonly stamps: Float64Array;
  readonly closes: Float64Array;

  /** `fields` without ts. @throws RangeError if a count is not an integer >= 1. */
  constructor(period: number, fields: number, slots: number) {
    for (const count of [period, fields, slots]) {
      if (!Number.isInteger(count) || count < 1) {
        throw new RangeError(`Cannot size a column store: found ${count}, wanted an integer >= 1`);
      }
    }
    this.period = period;
    this.columnCount = fields + 1;
    this.slots = slots;
    const blocks = slots > manyKeys ? 2 : 8;
    this.stride = (Math.max(2, Math.ceil((period * blocks) / 8)) | 1) * 8;
    this.slotSize = this.stride * this.columnCount;
    this.values = new Float64Array(this.slotSize * slots);
    this.ends = new Int32Array(slots);
    this.rows = new Int32Array(slots);
    this.stamps = new Float64Array(slots);
    this.closes = new Float64Array(slots).fill(Number.NEGATIVE_INFINITY);
  }

  /**
   * Makes room for one row of `slot` and returns the index of its ts; field `f` belongs at that
   * index + (f + 1) * stride. The caller writes all columns before the next call. O(1) amortized.
   */
  append(slot: number): number {
    const at = this.reserve(slot);
    this.commit(slot);
    return at;
  }

  /**
   * The place of the next row of `slot`, as `append` gives it, without taking it: what is written
   * there is no row until `commit`. O(1) amortized.
   */
  reserve(slot: number): number {
    const end = this.ends[slot]!;
    return slot * this.slotSize + (end === this.stride ? this.#compact(slot) : end);
  }

  /** Makes what was written at the reserved place the newest row. */
  commit(slot: number): void {
    this.ends[slot]! += 1;
    if (this.rows[slot]! < this.period) this.rows[slot]! += 1;
    this.stamps[slot]! += 1;
  }

  /** Open time of the newest row of `slot`; -Infinity if there is none. */
  newestTs(slot: number): number {
    return this.rows[slot] === 0
      ? Number.NEGATIVE_INFINITY
      : this.values[slot * this.slotSize + this.ends[slot]! - 1]!;
  }

  /**
   * Makes room for a late row with open time `ts` among the rows held and returns the index of its
   * ts, as `append`; -1 if a row of that time is there or it is older than all that are held.
   * O(period).
   */
  insert(slot: number, ts: number): number {
    if (ts > this.newestTs(slot)) return this.append(slot);
    const rows = this.rows[slot]!;
    if (this.ends[slot] === this.stride) this.#compact(slot);
    const base = slot * this.slotSize;
    const end = this.ends[slot]!;
    let at = end;
    while (at > end - rows && this.values[base + at - 1]! > ts) at -= 1;
    if (at > end - rows && this.values[base + at - 1] === ts) return -1;
    if (at === end - rows && rows === this.period) return -1;
    for (let column = 0; column < this.columnCount; column += 1) {
      const from = base + column * this.stride;
      this.values.copyWithin(from + at + 1, from + at, from + end);
    }
    this.ends[slot] = end + 1;
    if (rows < this.period) this.rows[slot]! += 1;
    // A jump of more than any window tells rolling helpers to start again.
    this.stamps[slot]! += this.period + 2;
    return base + at;
  }

  /** Forgets the rows of `slot`. */
  clear(slot: number): void {
    this.ends[slot] = 0;
    this.rows[slot] = 0;
    this.closes[slot] = Number.NEGATIVE_INFINITY;
    this.stamps[slot]! += this.period + 2;
  }

  /** C2. Copies from the block's end, whatever that is, and returns the new end. */
  #compact(slot: number): number {
    const base = slot * this.slotSize;
    const end = this.ends[slot]!;
    const keep = Math.min(this.period, this.rows[slot]!);
    assert(keep < this.stride, "C2: a block is longer than the period");
    for (let column = 0; column < this.columnCount; column += 1) {
      const from = base + column * this.stride;
      this.values.copyWithin(from, from + end - keep, from + end);
    }
    this.ends[slot] = keep;
    return keep;
  }
}
