import { type Interval } from "../core/interval.ts";

/** The rows a rolling value is taken over: one column of one slot, and its time column. */
export interface RollingSource {
  readonly values: Float64Array;
  /** Index of the oldest row's value and of its ts. */
  readonly start: number;
  readonly startTs: number;
  readonly length: number;
  readonly slot: number;
  /** `ColumnStore.stamps` of the slot. */
  readonly stamp: number;
}

/** State per slot: [stamp, front rows, block end, x0, then `parts` front values], then the backs. */
const stampAt = 0;
const frontRowsAt = 1;
const blockEndAt = 2;
const shiftAt = 3;
const frontAt = 4;

/**
 * Keeps a rolling value over the last W records in O(1) a record, with the same bits from any start
 * (DESIGN §5). A sum over W records is two parts that meet at g, the latest multiple of
 * W · interval at or before the newest ts:
 *
 *   back   the window's records before g, summed from the last of them down to the window's oldest
 *   front  the records at or after g, summed upwards
 *
 *   R1  value = back + front uses only the window's W records, so any start gives the same bits.
 *   R2  When the newest record crosses g, all backs are summed once: O(W) every W records.
 *   R3  A window whose records all lie at or after g (off-grid bars) is summed anew each time.
 */
abstract class Rolling {
  readonly #interval: Interval;
  readonly #width: number;
  readonly #parts: number;
  readonly #stateSize: number;
  readonly #state: Float64Array;

  constructor(interval: Interval, width: number, slots: number, parts: number) {
    this.#interval = interval;
    this.#width = width;
    this.#parts = parts;
    this.#stateSize = frontAt + parts + parts * width;
    this.#state = new Float64Array(this.#stateSize * slots);
    for (let slot = 0; slot < slots; slot += 1) {
      this.#state[slot * this.#stateSize + stampAt] = -1;
    }
  }

  /** Adds one value to the parts that begin at `at`. `shift` is the first record at or after g. */
  protected abstract add(state: Float64Array, at: number, value: number, shift: number): void;

  /** Sets the parts that begin at `at` to those of no value. */
  protected abstract clear(state: Float64Array, at: number): void;

  /** Brings the slot up to `source`; then `part(i)` reads back + front. Returns the state's base. */
  protected settle(source: RollingSource): number {
    const state = this.#state;
    const base = source.slot * this.#stateSize;
    const fresh = source.stamp - state[base + stampAt]!;
    if (fresh === 0) return base;
    const newestTs = source.values[source.startTs + source.length - 1]!;
    const frontRows = state[base + frontRowsAt]! + fresh;
    if (fresh > source.length || newestTs >= state[base + blockEndAt]! || frontRows > this.#width) {
      this.#rebuild(source, base, newestTs);
      return base;
    }
    const shift = state[base + shiftAt]!;
    for (let i = source.length - fresh; i < source.length; i += 1) {
      this.add(state, base + frontAt, source.values[source.start + i]!, shift);
    }
    state[base + stampAt] = source.stamp;
    state[base + frontRowsAt] = frontRows;
    return base;
  }

  /** Index of part `part` of the back that belongs to the current window; -1 if it is empty. */
  protected backOf(base: number, part: number): number {
    const backRows = this.#width - this.#state[base + frontRowsAt]!;
    if (backRows === 0) return -1;
    return base + frontAt + this.#parts * backRows + part;
  }

  protected get state(): Float64Array {
    return this.#state;
  }

  protected frontOf(base: number, part: number): number {
    return base + frontAt + part;
  }

  protected shiftOf(base: number): number {
    return this.#state[base + shiftAt]!;
  }

  #rebuild(source: RollingSource, base: number, newestTs: number): void {
    const { values, start, startTs, length } = source;
    const state = this.#state;
    const interval = this.#interval;
    const block = Math.floor(interval.indexOf(newestTs) / this.#width);
    const blockStart = interval.openOf(block * this.#width);
    let first = length - 1;
    while (first > 0 && values[startTs + first - 1]! >= blockStart) first -= 1;
    const shift = values[start + first]!;
    state[base + stampAt] = source.stamp;
    state[base + frontRowsAt] = length - first;
    state[base + blockEndAt] = interval.openOf((block + 1) * this.#width);
    state[base + shiftAt] = shift;
    this.clear(state, base + frontAt);
    for (let i = first; i < length; i += 1) {
      this.add(state, base + frontAt, values[start + i]!, shift);
    }
    let back = base + frontAt;
    for (let rows = 1; rows <= first; rows += 1) {
      const next = base + frontAt + this.#parts * rows;
      if (rows === 1) this.clear(state, next);
      else state.copyWithin(next, back, back + this.#parts);
      this.add(state, next, values[start + first - rows]!, shift);
      back = next;
    }
  }
}

/** Sum of the last W records. */
export class RollingSum extends Rolling {
  constructor(interval: Interval, width: number, slots: number) {
    super(interval, width, slots, 1);
  }

  /** The sum over the source's records. O(1) amortized. */
  sum(source: RollingSource): number {
    const base = this.settle(source);
    const back = this.backOf(base, 0);
    const front = this.state[this.frontOf(base, 0)]!;
    return back < 0 ? front : this.state[back]! + front;
  }

  protected override add(state: Float64Array, at: number, value: number): void {
    state[at]! += value;
  }

  protected override clear(state: Float64Array, at: number): void {
    state[at] = 0;
  }
}

/** Standard deviation and z-score of the last W records; squares are shifted, nothing cancels. */
export class RollingMoments extends Rolling {
  readonly #width: number;

  constructor(interval: Interval, width: number, slots: number) {
    super(interval, width, slots, 2);
    this.#width = width;
  }

  /** Population standard deviation. O(1) amortized. */
  std(source: RollingSource): number {
    const base = this.settle(source);
    const mean = this.#part(base, 0) / this.#width;
    return Math.sqrt(Math.max(0, this.#part(base, 1) / this.#width - mean * mean));
  }

  /** (newest − mean) / population standard deviation; 0 where that is 0. O(1) amortized. */
  zscore(source: RollingSource): number {
    const base = this.settle(source);
    const mean = this.#part(base, 0) / this.#width;
    const variance = this.#part(base, 1) / this.#width - mean * mean;
    const newest = source.values[source.start + source.length - 1]! - this.shiftOf(base);
    if (variance > 0) return (newest - mean) / Math.sqrt(variance);
    return Number.isNaN(variance) ? Number.NaN : 0;
  }

  #part(base: number, part: number): number {
    const back = this.backOf(base, part);
    const front = this.state[this.frontOf(base, part)]!;
    return back < 0 ? front : this.state[back]! + front;
  }

  protected override add(state: Float64Array, at: number, value: number, shift: number): void {
    const shifted = value - shift;
    state[at]! += shifted;
    state[at + 1]! += shifted * shifted;
  }

  protected override clear(state: Float64Array, at: number): void {
    state[at] = 0;
    state[at + 1] = 0;
  }
}

/** Smallest and largest of the last W records; NaN if one of them is NaN. */
export class RollingExtremes extends Rolling {
  constructor(interval: Interval, width: number, slots: number) {
    super(interval, width, slots, 2);
  }

  /** Smallest record. O(1) amortized. */
  min(source: RollingSource): number {
    const base = this.settle(source);
    const back = this.backOf(base, 0);
    const front = this.state[this.frontOf(base, 0)]!;
    return back < 0 ? front : Math.min(this.state[back]!, front);
  }

  /** Largest record. O(1) amortized. */
  max(source: RollingSource): number {
    const base = this.settle(source);
    const back = this.backOf(base, 1);
    const front = this.state[this.frontOf(base, 1)]!;
    return back < 0 ? front : Math.max(this.state[back]!, front);
  }

  protected override add(state: Float64Array, at: number, value: number): void {
    state[at] = Math.min(state[at]!, value);
    state[at + 1] = Math.max(state[at + 1]!, value);
  }

  protected override clear(state: Float64Array, at: number): void {
    state[at] = Number.POSITIVE_INFINITY;
    state[at + 1] = Number.NEGATIVE_INFINITY;
  }
}
