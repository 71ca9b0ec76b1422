import { type ColumnBatch, newColumnBatch } from "../runtime/index.ts";
import { bar as bars } from "./kline-window/bar.ts";

/** Bars as the comparison with other stream processors has them, without `ts`. */
export { bars };

/** Column of `close` among the fields. */
export const closeColumn = 3;

/** Keys of the input. */
export const keyCount = 64;

/** Window of the z-score, in bars. */
export const windowLength = 60;

/** |z| from which on a bar is a signal. */
export const signalAbove = 2;

const minuteMs = 60_000;
const startMs = 1_600_000_020_000;

/** Symbols `K00` to `K63`. */
export const keys: readonly string[] = Array.from(
  { length: keyCount },
  (_, i) => `K${String(i).padStart(2, "0")}`,
);

/** A market that repeats itself: row i belongs to key i % 64, rows of a key are a minute apart. */
export interface Market {
  readonly batch: ColumnBatch;
  /** Adding it to every ts gives the next lap. */
  readonly lapMs: number;
}

/**
 * At least `rows` bars, whole minutes of all keys and at least a window of each. Prices are
 * multiples of 1/64, so that sums of them are exact in any order.
 */
export function makeMarket(rows: number): Market {
  const minutes = Math.max(windowLength, Math.ceil(rows / keyCount));
  const batch = newColumnBatch(minutes * keyCount, Object.keys(bars).length);
  const [open, high, low, close, volume, closeTime, quoteVolume, trades] = batch.columns;
  const prices = keys.map((_, key) => 100 + key);
  let seed = 1;
  for (let i = 0; i < batch.count; i += 1) {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    const key = i % keyCount;
    const before = prices[key]!;
    const price = Math.max(1, before + ((seed >>> 12) % 129) / 64 - 1);
    prices[key] = price;
    batch.ts[i] = startMs + Math.floor(i / keyCount) * minuteMs;
    open![i] = before;
    high![i] = Math.max(before, price) + 0.25;
    low![i] = Math.min(before, price) - 0.25;
    close![i] = price;
    volume![i] = 1 + ((seed >>> 8) % 1_000);
    closeTime![i] = batch.ts[i]! + minuteMs - 1;
    quoteVolume![i] = volume![i]! * price;
    trades![i] = (seed >>> 20) & 1_023;
  }
  return { batch, lapMs: minutes * minuteMs };
}

/** Sum of the closes: what every way to read them must come to. */
export function sumOfCloses({ batch }: Market): number {
  return batch.columns[closeColumn]!.subarray(0, batch.count).reduce((sum, x) => sum + x, 0);
}

/**
 * Signals of one lap, worked out window by window in two passes: what every way to find them must
 * come to. A lap begins with the last window of the lap before.
 */
export function signalsOf({ batch }: Market): number {
  const closes = batch.columns[closeColumn]!;
  const minutes = batch.count / keyCount;
  const window = new Float64Array(windowLength);
  let signals = 0;
  for (let key = 0; key < keyCount; key += 1) {
    for (let minute = 0; minute < minutes; minute += 1) {
      for (let i = 0; i < windowLength; i += 1) {
        const at = (minute + 1 + i - windowLength + minutes) % minutes;
        window[i] = closes[at * keyCount + key]!;
      }
      if (Math.abs(zscoreOf(window)) > signalAbove) signals += 1;
    }
  }
  return signals;
}

/** Deviations of the last value from the mean of all, in two passes. */
export function zscoreOf(values: ArrayLike<number>): number {
  const { length } = values;
  let sum = 0;
  for (let i = 0; i < length; i += 1) sum += values[i]!;
  const mean = sum / length;
  let squares = 0;
  for (let i = 0; i < length; i += 1) squares += (values[i]! - mean) ** 2;
  return (values[length - 1]! - mean) / Math.sqrt(squares / length);
}
