import { type Interval } from "../core/interval.ts";

/** The rows a rolling value is taken over: one column of one slot, and its time column. */
export interface RollingSource {
  readonly values: Float64Array;
  /** Index of the oldest row's value and of its ts. */
  readonly start: number;
  readonly startTs: number;
  readonly length: number;
  readonly slot: number;
  /** `ColumnStore.stamps` of the slot, modulo 2³². */
  readonly stamp: number;
}

/** What reading a column says that compute let go. */
export const emptyText =
  "Cannot read a column: it is empty, wanted one that compute has not let go";

/**
 * State per slot: [block end, shift, the front's two parts], then the backs. All zeros means
 * "start": a slot that is never used touches no memory.
 */
const blockEndAt = 0;
const shiftAt = 1;
const frontAt = 2;
const backAt = 4;

/**
 * Where a rolling value over the last W records starts again (DESIGN §5). A sum over W records is
 * two parts that meet at g, the latest multiple of W · interval at or before the newest ts:
 *
 *   back   the window's records before g, summed from the last of them down to the window's oldest
 *   front  the records at or after g, summed upwards
 *
 *   R1  value = back + front uses only the window's W records, so any start gives the same bits.
 *   R2  When the newest record crosses g, all backs are summed once: O(W) every W records.
 *   R3  A window whose records all lie at or after g (off-grid bars) is summed anew each time.
 */
class Blocks {
  readonly interval: Interval;
  readonly width: number;
  /** Floats of a slot in `state`. */
  readonly size: number;
  readonly state: Float64Array;
  /**
   * Rows that the front still takes, by slot: as many as the back that belongs to it has; 0 = start.
   * Whole numbers, for an index made of a float costs a call (measured).
   */
  readonly lefts: Int32Array;
  /** The source's stamp by slot when it was seen last. */
  readonly stamps: Int32Array;

  /** `parts` = floats of a back. */
  constructor(interval: Interval, width: number, slots: number, parts: number) {
    this.interval = interval;
    this.width = width;
    this.size = backAt + parts * (width + 1);
    this.state = new Float64Array(slots * this.size);
    this.lefts = new Int32Array(slots);
    this.stamps = new Int32Array(slots);
  }

  /**
   * True if one record is new and lies in the open block, as nearly always. Small, for it is to be
   * inlined: an engine inlines what takes some 30 operations, and 4 calls deep.
   */
  isNext(source: RollingSource, base: number): boolean {
    const { slot } = source;
    return (
      source.stamp === this.stamps[slot]! + 1 &&
      source.values[source.startTs + source.length - 1]! < this.state[base + blockEndAt]! &&
      this.lefts[slot]! > 0
    );
  }

  /** Rows that are new and can be added to the front; 0 = none, -1 = start again. */
  freshRows(source: RollingSource, base: number): number {
    const { length, slot } = source;
    if (length === 0) throw new RangeError(emptyText);
    const fresh = (source.stamp - this.stamps[slot]!) | 0;
    const left = this.lefts[slot]!;
    if (fresh === 0 && left > 0) return 0;
    const isOver = source.values[source.startTs + length - 1]! >= this.state[base + blockEndAt]!;
    return isOver || fresh < 0 || fresh > left ? -1 : fresh;
  }

  /** Notes that the front has `fresh` more rows. */
  grow(source: RollingSource, fresh: number): void {
    this.stamps[source.slot] = source.stamp;
    this.lefts[source.slot]! -= fresh;
  }

  /** Returns how many of the source's rows lie before g, and notes block and shift in the state. */
  start(source: RollingSource, base: number): number {
    const { interval, lefts, state, width } = this;
    const { values, startTs, length } = source;
    const block = Math.floor(interval.indexOf(values[startTs + length - 1]!) / width);
    const blockStart = interval.openOf(block * width);
    let first = length - 1;
    while (first > 0 && values[startTs + first - 1]! >= blockStart) first -= 1;
    this.stamps[source.slot] = source.stamp;
    state[base + blockEndAt] = interval.openOf((block + 1) * width);
    state[base + shiftAt] = values[source.start + first]!;
    lefts[source.slot] = first;
    return first;
  }
}

/** Sum of the last W records, kept in O(1) a record. */
export class RollingSum extends Blocks {
  constructor(interval: Interval, width: number, slots: number) {
    super(interval, width, slots, 1);
  }

  /** The sum over the source's records. O(1) amortized. */
  sum(source: RollingSource): number {
    const base = source.slot * this.size;
    if (this.isNext(source, base)) this.#add(source, base);
    else this.#settle(source, base);
    const { state } = this;
    const back = base + backAt + this.lefts[source.slot]!;
    return state[back]! + state[base + frontAt]!;
  }

  #add(source: RollingSource, base: number): void {
    const { state } = this;
    state[base + frontAt]! += source.values[source.start + source.length - 1]!;
    this.stamps[source.slot] = source.stamp;
    this.lefts[source.slot]! -= 1;
  }

  #settle(source: RollingSource, base: number): void {
    const fresh = this.freshRows(source, base);
    if (fresh < 0) this.#restart(source, base);
    else if (fresh > 0) {
      const end = source.start + source.length;
      for (let i = end - fresh; i < end; i += 1) this.state[base + frontAt]! += source.values[i]!;
      this.grow(source, fresh);
    }
  }

  #restart(source: RollingSource, base: number): void {
    const first = this.start(source, base);
    const { state } = this;
    const { values, start, length } = source;
    let front = 0;
    for (let i = start + first; i < start + length; i += 1) front += values[i]!;
    state[base + frontAt] = front;
    let back = 0;
    state[base + backAt] = 0;
    for (let rows = 1; rows <= first; rows += 1) {
      back += values[start + first - rows]!;
      state[base + backAt + rows] = back;
    }
  }
}

/** Standard deviation and z-score of the last W records; squares are shifted, nothing cancels. */
export class RollingMoments extends Blocks {
  constructor(interval: Interval, width: number, slots: number) {
    super(interval, width, slots, 2);
  }

  /** Brings the slot up to `source`: what comes first. O(1) amortized. */
  roll(source: RollingSource): void {
    const base = source.slot * this.size;
    if (this.isNext(source, base)) this.#add(source, base);
    else this.#settle(source, base);
  }

  /** Population standard deviation. */
  std(source: RollingSource): number {
    return Math.sqrt(Math.max(0, this.#variance(source.slot)));
  }

  /** (newest − mean) / population standard deviation; 0 where that is 0. */
  zscore(source: RollingSource): number {
    const shift = this.state[source.slot * this.size + shiftAt]!;
    const newest = source.values[source.start + source.length - 1]! - shift;
    const variance = this.#variance(source.slot);
    if (variance > 0) return (newest - this.#mean(source.slot)) / Math.sqrt(variance);
    return variance === variance ? 0 : Number.NaN;
  }

  /** Mean above the shift: of the front and the back that belongs to it. */
  #mean(slot: number): number {
    const { size, state, width } = this;
    const back = slot * size + backAt + 2 * this.lefts[slot]!;
    return (state[back]! + state[slot * size + frontAt]!) / width;
  }

  /** It works out the mean itself: inlined, there is one division for both. */
  #variance(slot: number): number {
    const { size, state, width } = this;
    const front = slot * size + frontAt;
    const back = slot * size + backAt + 2 * this.lefts[slot]!;
    const mean = (state[back]! + state[front]!) / width;
    return (state[back + 1]! + state[front + 1]!) / width - mean * mean;
  }

  #add(source: RollingSource, base: number): void {
    const { state } = this;
    const shifted = source.values[source.start + source.length - 1]! - state[base + shiftAt]!;
    state[base + frontAt]! += shifted;
    state[base + frontAt + 1]! += shifted * shifted;
    this.stamps[source.slot] = source.stamp;
    this.lefts[source.slot]! -= 1;
  }

  #settle(source: RollingSource, base: number): void {
    const fresh = this.freshRows(source, base);
    if (fresh < 0) this.#restart(source, base);
    else if (fresh > 0) {
      const { state } = this;
      const shift = state[base + shiftAt]!;
      const end = source.start + source.length;
      for (let i = end - fresh; i < end; i += 1) {
        const shifted = source.values[i]! - shift;
        state[base + frontAt]! += shifted;
        state[base + frontAt + 1]! += shifted * shifted;
      }
      this.grow(source, fresh);
    }
  }

  #restart(source: RollingSource, base: number): void {
    const first = this.start(source, base);
    const { state } = this;
    const { values, start, length } = source;
    const shift = state[base + shiftAt]!;
    let sum = 0;
    let squares = 0;
    for (let i = start + first; i < start + length; i += 1) {
      const shifted = values[i]! - shift;
      sum += shifted;
      squares += shifted * shifted;
    }
    state[base + frontAt] = sum;
    state[base + frontAt + 1] = squares;
    sum = 0;
    squares = 0;
    for (let rows = 0; rows <= first; rows += 1) {
      const shifted = rows === 0 ? 0 : values[start + first - rows]! - shift;
      sum += shifted;
      squares += shifted * shifted;
      state[base + backAt + 2 * rows] = sum;
      state[base + backAt + 2 * rows + 1] = squares;
    }
  }
}

/** Smallest and largest of the last W records; NaN if one of them is NaN. */
export class RollingExtremes extends Blocks {
  constructor(interval: Interval, width: number, slots: number) {
    super(interval, width, slots, 2);
  }

  /** Smallest record. O(1) amortized. */
  min(source: RollingSource): number {
    const base = source.slot * this.size;
    const back = this.#backOf(source, base);
    return Math.min(this.state[back]!, this.state[base + frontAt]!);
  }

  /** Largest record. O(1) amortized. */
  max(source: RollingSource): number {
    const base = source.slot * this.size;
    const back = this.#backOf(source, base);
    return Math.max(this.state[back + 1]!, this.state[base + frontAt + 1]!);
  }

  /** Brings the slot up to `source` and returns the index of the back that belongs to it. */
  #backOf(source: RollingSource, base: number): number {
    const fresh = this.isNext(source, base) ? 1 : this.freshRows(source, base);
    if (fresh < 0) this.#restart(source, base);
    else if (fresh > 0) {
      const { state } = this;
      const end = source.start + source.length;
      for (let i = end - fresh; i < end; i += 1) {
        const value = source.values[i]!;
        state[base + frontAt] = Math.min(state[base + frontAt]!, value);
        state[base + frontAt + 1] = Math.max(state[base + frontAt + 1]!, value);
      }
      this.grow(source, fresh);
    }
    return base + backAt + 2 * this.lefts[source.slot]!;
  }

  #restart(source: RollingSource, base: number): void {
    const first = this.start(source, base);
    const { state } = this;
    const { values, start, length } = source;
    let min = Number.POSITIVE_INFINITY;
    let max = Number.NEGATIVE_INFINITY;
    for (let i = start + first; i < start + length; i += 1) {
      min = Math.min(min, values[i]!);
      max = Math.max(max, values[i]!);
    }
    state[base + frontAt] = min;
    state[base + frontAt + 1] = max;
    min = Number.POSITIVE_INFINITY;
    max = Number.NEGATIVE_INFINITY;
    for (let rows = 0; rows <= first; rows += 1) {
      if (rows > 0) {
        min = Math.min(min, values[start + first - rows]!);
        max = Math.max(max, values[start + first - rows]!);
      }
      state[base + backAt + 2 * rows] = min;
      state[base + backAt + 2 * rows + 1] = max;
    }
  }
}
