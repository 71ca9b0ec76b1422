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

/**
 * State per slot: [stamp, front rows, block end, shift, the front's two parts], then the backs. All
 * zeros means "start": a slot that is never used touches no memory.
 */
const frontRowsAt = 1;
const blockEndAt = 2;
const shiftAt = 3;
const frontAt = 4;
const backAt = 6;

/** Rows that are new since `stamp` and can be added to the front; 0 = none, -1 = start again. */
function freshRows(
  state: Float64Array,
  base: number,
  source: RollingSource,
  width: number,
): number {
  const fresh = source.stamp - state[base]!;
  if (fresh === 0) return 0;
  const newestTs = source.values[source.startTs + source.length - 1]!;
  const isOver =
    newestTs >= state[base + blockEndAt]! || state[base + frontRowsAt]! + fresh > width;
  return isOver || fresh > source.length ? -1 : fresh;
}

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
 *
 * Returns how many of the source's rows lie before g, and notes block and shift in the state.
 */
function startBlock(
  state: Float64Array,
  base: number,
  source: RollingSource,
  grid: { readonly interval: Interval; readonly width: number },
): number {
  const { values, startTs, length } = source;
  const { interval, width } = grid;
  const block = Math.floor(interval.indexOf(values[startTs + length - 1]!) / width);
  const blockStart = interval.openOf(block * width);
  let first = length - 1;
  while (first > 0 && values[startTs + first - 1]! >= blockStart) first -= 1;
  state[base] = source.stamp;
  state[base + frontRowsAt] = length - first;
  state[base + blockEndAt] = interval.openOf((block + 1) * width);
  state[base + shiftAt] = values[source.start + first]!;
  return first;
}

/** Sum of the last W records, kept in O(1) a record. */
export class RollingSum {
  readonly grid: { readonly interval: Interval; readonly width: number };
  readonly size: number;
  readonly state: Float64Array;

  constructor(interval: Interval, width: number, slots: number) {
    this.grid = { interval, width };
    this.size = backAt + width + 1;
    this.state = new Float64Array(slots * this.size);
  }

  /** The sum over the source's records. O(1) amortized. */
  sum(source: RollingSource): number {
    const { state } = this;
    const base = source.slot * this.size;
    const { width } = this.grid;
    const fresh = freshRows(state, base, source, width);
    if (fresh < 0) this.#restart(base, source);
    else if (fresh > 0) {
      const end = source.start + source.length;
      for (let i = end - fresh; i < end; i += 1) state[base + frontAt]! += source.values[i]!;
      state[base] = source.stamp;
      state[base + frontRowsAt]! += fresh;
    }
    return state[base + backAt + width - state[base + frontRowsAt]!]! + state[base + frontAt]!;
  }

  #restart(base: number, source: RollingSource): void {
    const { state } = this;
    const first = startBlock(state, base, source, this.grid);
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
export class RollingMoments {
  readonly grid: { readonly interval: Interval; readonly width: number };
  readonly size: number;
  readonly state: Float64Array;

  constructor(interval: Interval, width: number, slots: number) {
    this.grid = { interval, width };
    this.size = backAt + 2 * (width + 1);
    this.state = new Float64Array(slots * this.size);
  }

  /** Population standard deviation. O(1) amortized. */
  std(source: RollingSource): number {
    const back = this.#settle(source);
    const { state, size } = this;
    const front = source.slot * size + frontAt;
    const { width } = this.grid;
    const mean = (state[back]! + state[front]!) / width;
    return Math.sqrt(Math.max(0, (state[back + 1]! + state[front + 1]!) / width - mean * mean));
  }

  /** (newest − mean) / population standard deviation; 0 where that is 0. O(1) amortized. */
  zscore(source: RollingSource): number {
    const back = this.#settle(source);
    const { state, size } = this;
    const front = source.slot * size + frontAt;
    const { width } = this.grid;
    const mean = (state[back]! + state[front]!) / width;
    const variance = (state[back + 1]! + state[front + 1]!) / width - mean * mean;
    const newest = source.values[source.start + source.length - 1]! - state[front - 1]!;
    if (variance > 0) return (newest - mean) / Math.sqrt(variance);
    return variance === variance ? 0 : Number.NaN;
  }

  /** Brings the slot up to `source` and returns the index of the back that belongs to it. */
  #settle(source: RollingSource): number {
    const { state } = this;
    const base = source.slot * this.size;
    const { width } = this.grid;
    const fresh = freshRows(state, base, source, width);
    if (fresh < 0) this.#restart(base, source);
    else if (fresh > 0) {
      const shift = state[base + shiftAt]!;
      const end = source.start + source.length;
      for (let i = end - fresh; i < end; i += 1) {
        const shifted = source.values[i]! - shift;
        state[base + frontAt]! += shifted;
        state[base + frontAt + 1]! += shifted * shifted;
      }
      state[base] = source.stamp;
      state[base + frontRowsAt]! += fresh;
    }
    return base + backAt + 2 * (width - state[base + frontRowsAt]!);
  }

  #restart(base: number, source: RollingSource): void {
    const { state } = this;
    const first = startBlock(state, base, source, this.grid);
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
export class RollingExtremes {
  readonly grid: { readonly interval: Interval; readonly width: number };
  readonly size: number;
  readonly state: Float64Array;

  constructor(interval: Interval, width: number, slots: number) {
    this.grid = { interval, width };
    this.size = backAt + 2 * (width + 1);
    this.state = new Float64Array(slots * this.size);
  }

  /** Smallest record. O(1) amortized. */
  min(source: RollingSource): number {
    const back = this.#settle(source);
    return Math.min(this.state[back]!, this.state[source.slot * this.size + frontAt]!);
  }

  /** Largest record. O(1) amortized. */
  max(source: RollingSource): number {
    const back = this.#settle(source);
    return Math.max(this.state[back + 1]!, this.state[source.slot * this.size + frontAt + 1]!);
  }

  #settle(source: RollingSource): number {
    const { state } = this;
    const base = source.slot * this.size;
    const { width } = this.grid;
    const fresh = freshRows(state, base, source, width);
    if (fresh < 0) this.#restart(base, source);
    else if (fresh > 0) {
      const end = source.start + source.length;
      for (let i = end - fresh; i < end; i += 1) {
        const value = source.values[i]!;
        state[base + frontAt] = Math.min(state[base + frontAt]!, value);
        state[base + frontAt + 1] = Math.max(state[base + frontAt + 1]!, value);
      }
      state[base] = source.stamp;
      state[base + frontRowsAt]! += fresh;
    }
    return base + backAt + 2 * (width - state[base + frontRowsAt]!);
  }

  #restart(base: number, source: RollingSource): void {
    const { state } = this;
    const first = startBlock(state, base, source, this.grid);
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
