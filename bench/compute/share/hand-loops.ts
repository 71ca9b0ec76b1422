/**
 * What the plans of the share bench come to if they are written by hand, once, for this task alone:
 * the same windows, the same sums (DESIGN §5: back + front), so the same bits.
 */
import { closeColumn, keyCount } from "../../market.ts";
import { type Collector, type ShareInput } from "./share-input.ts";

const minuteMs = 60_000;
/** Rows of a key's block, as the runtime has it: append, and move to the front when it is full. */
const blockRows = 488;
const columns = 9;
const slotSize = blockRows * columns;
const outputRows = 4_096;
const closeAt = (closeColumn + 1) * blockRows;

/** Windows of all keys in one pool. */
class Pool {
  readonly values = new Float64Array(keyCount * slotSize);
  readonly ends = new Int32Array(keyCount);
  readonly rows = new Int32Array(keyCount);

  compact(slot: number, keep: number): number {
    for (let column = 0; column < columns; column += 1) {
      const from = slot * slotSize + column * blockRows;
      this.values.copyWithin(from, from + blockRows - keep, from + blockRows);
    }
    return keep;
  }
}

/** Outputs of one node on their way to the collector. */
class Output {
  readonly slots = new Int32Array(outputRows);
  readonly ts = new Float64Array(outputRows);
  readonly values = new Float64Array(outputRows);
  count = 0;
  readonly #collector: Collector;

  constructor(collector: Collector) {
    this.#collector = collector;
  }

  push(slot: number, ts: number, value: number): void {
    const at = this.count;
    this.slots[at] = slot;
    this.ts[at] = ts;
    this.values[at] = value;
    this.count = at + 1;
    if (at + 1 === outputRows) this.flush();
  }

  flush(): void {
    if (this.count > 0) this.#collector.take(this.slots, this.ts, this.values, this.count);
    this.count = 0;
  }
}

/** Sums over the last `width` closes: a front that grows, and the backs it meets. */
class Sums {
  /** By slot: end of the block, shift, front rows, sum, squares. */
  readonly state = new Float64Array(keyCount * 8);
  /** By slot and number of rows before the block: sum and squares. */
  readonly backs: Float64Array;
  readonly width: number;
  readonly #isShifted: boolean;

  constructor(width: number, isShifted: boolean) {
    this.width = width;
    this.#isShifted = isShifted;
    this.backs = new Float64Array(keyCount * 2 * (width + 1));
  }

  /** The newest row, whose close is at `end - 1`, begins a block or is the first to be summed. */
  restart(slot: number, { values }: Pool, end: number, ts: number): void {
    const { backs, state, width } = this;
    const blockMs = width * minuteMs;
    const blockStart = Math.floor(ts / blockMs) * blockMs;
    const front = (ts - blockStart) / minuteMs + 1;
    const shift = this.#isShifted ? values[end - front]! : 0;
    const at = slot * 8;
    state[at] = blockStart + blockMs;
    state[at + 1] = shift;
    state[at + 2] = front;
    state[at + 3] = 0;
    state[at + 4] = 0;
    for (let i = end - front; i < end; i += 1) {
      const shifted = values[i]! - shift;
      state[at + 3]! += shifted;
      state[at + 4]! += shifted * shifted;
    }
    let sum = 0;
    let squares = 0;
    let back = slot * 2 * (width + 1);
    backs[back] = 0;
    backs[back + 1] = 0;
    for (let i = end - front - 1; i >= end - width; i -= 1) {
      const shifted = values[i]! - shift;
      sum += shifted;
      squares += shifted * shifted;
      back += 2;
      backs[back] = sum;
      backs[back + 1] = squares;
    }
  }
}

/** One z-score of 60 a bar. */
export function zscoreByHand(input: ShareInput, collectors: readonly Collector[]): () => void {
  const pool = new Pool();
  const sums = new Sums(60, true);
  const output = new Output(collectors[0]!);
  const { ends, rows, values } = pool;
  const { backs, state } = sums;
  const { key } = input;
  const { count, ts } = input.batch;
  const [c0, c1, c2, c3, c4, c5, c6, c7] = columnsOf(input);
  return () => {
    for (let i = 0; i < count; i += 1) {
      const slot = key[i]!;
      const t = ts[i]!;
      let end = ends[slot]!;
      if (end === blockRows) end = pool.compact(slot, 60);
      const at = slot * slotSize + end;
      const close = c3[i]!;
      values[at] = t;
      values[at + blockRows] = c0[i]!;
      values[at + 2 * blockRows] = c1[i]!;
      values[at + 3 * blockRows] = c2[i]!;
      values[at + 4 * blockRows] = close;
      values[at + 5 * blockRows] = c4[i]!;
      values[at + 6 * blockRows] = c5[i]!;
      values[at + 7 * blockRows] = c6[i]!;
      values[at + 8 * blockRows] = c7[i]!;
      ends[slot] = end + 1;
      if (rows[slot]! < 60 && (rows[slot]! += 1) < 60) continue;
      const own = slot * 8;
      if (t >= state[own]!) sums.restart(slot, pool, at + closeAt + 1, t);
      else {
        const shifted = close - state[own + 1]!;
        state[own + 2]! += 1;
        state[own + 3]! += shifted;
        state[own + 4]! += shifted * shifted;
      }
      const back = (slot * 61 + 60 - (state[own + 2]! | 0)) * 2;
      const mean = (backs[back]! + state[own + 3]!) / 60;
      const variance = (backs[back + 1]! + state[own + 4]!) / 60 - mean * mean;
      const z = variance > 0 ? (close - state[own + 1]! - mean) / Math.sqrt(variance) : 0;
      output.push(slot, t, z);
    }
    output.flush();
  };
}

/** A loop over the last 60 closes, for each bar. */
export function loopByHand(input: ShareInput, collectors: readonly Collector[]): () => void {
  const pool = new Pool();
  const output = new Output(collectors[0]!);
  const { ends, rows, values } = pool;
  const { key } = input;
  const { count, ts } = input.batch;
  const [c0, c1, c2, c3, c4, c5, c6, c7] = columnsOf(input);
  return () => {
    for (let i = 0; i < count; i += 1) {
      const slot = key[i]!;
      const t = ts[i]!;
      let end = ends[slot]!;
      if (end === blockRows) end = pool.compact(slot, 60);
      const at = slot * slotSize + end;
      const close = c3[i]!;
      values[at] = t;
      values[at + blockRows] = c0[i]!;
      values[at + 2 * blockRows] = c1[i]!;
      values[at + 3 * blockRows] = c2[i]!;
      values[at + 4 * blockRows] = close;
      values[at + 5 * blockRows] = c4[i]!;
      values[at + 6 * blockRows] = c5[i]!;
      values[at + 7 * blockRows] = c6[i]!;
      values[at + 8 * blockRows] = c7[i]!;
      ends[slot] = end + 1;
      if (rows[slot]! < 60 && (rows[slot]! += 1) < 60) continue;
      const first = at + closeAt - 59;
      let sum = 0;
      let squares = 0;
      for (let j = 0; j < 60; j += 1) {
        const value = values[first + j]!;
        sum += value;
        squares += value * value;
      }
      const mean = sum / 60;
      const deviation = Math.sqrt(Math.max(0, squares / 60 - mean * mean));
      output.push(slot, t, deviation > 0 ? (close - mean) / deviation : 0);
    }
    output.flush();
  };
}

/** A mean of 20, a z-score of 60, and a signal from the last 5 of the one and the last of the other. */
export function threeByHand(input: ShareInput, collectors: readonly Collector[]): () => void {
  const pool = new Pool();
  const short = new Sums(20, false);
  const long = new Sums(60, true);
  const means = new Output(collectors[0]!);
  const scores = new Output(collectors[1]!);
  const signals = new Output(collectors[2]!);
  /** The last means of each key, in a ring of 8. */
  const ring = new Float64Array(keyCount * 8);
  const emitted = new Int32Array(keyCount);
  const { ends, rows, values } = pool;
  const { key } = input;
  const { count, ts } = input.batch;
  const [c0, c1, c2, c3, c4, c5, c6, c7] = columnsOf(input);
  // oxlint-disable-next-line eslint/complexity -- by hand: one loop over local variables
  return () => {
    for (let i = 0; i < count; i += 1) {
      const slot = key[i]!;
      const t = ts[i]!;
      let end = ends[slot]!;
      if (end === blockRows) end = pool.compact(slot, 60);
      const at = slot * slotSize + end;
      const close = c3[i]!;
      values[at] = t;
      values[at + blockRows] = c0[i]!;
      values[at + 2 * blockRows] = c1[i]!;
      values[at + 3 * blockRows] = c2[i]!;
      values[at + 4 * blockRows] = close;
      values[at + 5 * blockRows] = c4[i]!;
      values[at + 6 * blockRows] = c5[i]!;
      values[at + 7 * blockRows] = c6[i]!;
      values[at + 8 * blockRows] = c7[i]!;
      ends[slot] = end + 1;
      if (rows[slot]! < 60) rows[slot]! += 1;
      if (rows[slot]! < 20) continue;
      const own = slot * 8;
      const a = short.state;
      if (t >= a[own]!) short.restart(slot, pool, at + closeAt + 1, t);
      else {
        a[own + 2]! += 1;
        a[own + 3]! += close;
      }
      const mean = (short.backs[(slot * 21 + 20 - (a[own + 2]! | 0)) * 2]! + a[own + 3]!) / 20;
      means.push(slot, t, mean);
      const turn = emitted[slot]!;
      ring[own + (turn & 7)] = mean;
      emitted[slot] = (turn + 1) | 0;
      if (rows[slot]! < 60) continue;
      const b = long.state;
      if (t >= b[own]!) long.restart(slot, pool, at + closeAt + 1, t);
      else {
        const shifted = close - b[own + 1]!;
        b[own + 2]! += 1;
        b[own + 3]! += shifted;
        b[own + 4]! += shifted * shifted;
      }
      const back = (slot * 61 + 60 - (b[own + 2]! | 0)) * 2;
      const middle = (long.backs[back]! + b[own + 3]!) / 60;
      const variance = (long.backs[back + 1]! + b[own + 4]!) / 60 - middle * middle;
      const z = variance > 0 ? (close - b[own + 1]! - middle) / Math.sqrt(variance) : 0;
      scores.push(slot, t, z);
      const rise = mean - ring[own + ((turn - 4) & 7)]!;
      signals.push(slot, t, z > 2 ? -1 : z < -2 && rise > 0 ? 1 : 0);
    }
    for (const output of [means, scores, signals]) output.flush();
  };
}

type Eight = readonly [
  Float64Array,
  Float64Array,
  Float64Array,
  Float64Array,
  Float64Array,
  Float64Array,
  Float64Array,
  Float64Array,
];

function columnsOf({ batch }: ShareInput): Eight {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the bars have 8 fields
  return batch.columns as unknown as Eight;
}
