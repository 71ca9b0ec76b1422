import { type ColumnBatch, newColumnBatch } from "../../../runtime/index.ts";
import { bars, keyCount } from "../../market.ts";

const minuteMs = 60_000;
const startMs = 1_600_000_020_000;

/** Rows of a batch as a replay hands it over. */
const batchRows = 8_192;

/** `keys`: one key after the other, as without joins; `minutes`: all keys of a minute, shuffled. */
export type Order = "keys" | "minutes";

/** Bars of all keys in columns, and whose each row is. */
export interface ShareInput {
  readonly batch: ColumnBatch;
  readonly key: Int32Array;
  /** Rows are handed over in calls of rows of one key: where each call ends. */
  readonly ends: Int32Array;
  /** Adding it to every ts gives the next lap. */
  readonly lapMs: number;
}

/** `minutes` bars of each key; sums of the prices are not exact. */
export function makeShareInput(minutes: number, order: Order): ShareInput {
  const count = minutes * keyCount;
  const batch = newColumnBatch(count, Object.keys(bars).length);
  const key = new Int32Array(count);
  const turn = Array.from({ length: keyCount }, (_, slot) => slot);
  const prices = turn.map((slot) => 100 + slot / 3);
  let seed = 1;
  const random = (): number => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    return seed / 2 ** 32;
  };
  for (let minute = 0; minute < minutes; minute += 1) {
    for (let i = keyCount - 1; i > 0; i -= 1) {
      const other = Math.floor(random() * (i + 1));
      [turn[i], turn[other]] = [turn[other]!, turn[i]!];
    }
    for (const [i, slot] of turn.entries()) {
      const row = order === "keys" ? slot * minutes + minute : minute * keyCount + i;
      prices[slot]! *= 1 + (random() - 0.5) / 500;
      key[row] = slot;
      batch.ts[row] = startMs + minute * minuteMs;
      for (const column of batch.columns) column[row] = prices[slot]! + random();
      batch.columns[5]![row] = startMs + (minute + 1) * minuteMs - 1;
    }
  }
  return { batch, key, ends: endsOf(minutes, order), lapMs: minutes * minuteMs };
}

function endsOf(minutes: number, order: Order): Int32Array {
  const count = minutes * keyCount;
  if (order === "minutes") return Int32Array.from({ length: count }, (_, row) => row + 1);
  const ends: number[] = [];
  for (let end = 0; end < count; ends.push(end)) {
    end = Math.min(end + batchRows, (Math.floor(end / minutes) + 1) * minutes);
  }
  return Int32Array.from(ends);
}

/** Moves all bars on by a lap. */
export function moveOn({ batch, lapMs }: ShareInput): void {
  for (let i = 0; i < batch.count; i += 1) batch.ts[i]! += lapMs;
}

/**
 * Takes one node's outputs in batches. A lap that is timed looks at the ends of each batch; one that is
 * not hashes every bit, so that two ways to the same outputs can be compared.
 */
export class Collector {
  isHashing = false;
  hash = 0;
  readonly #floats = new Float64Array(2);
  readonly #words = new Int32Array(this.#floats.buffer);

  take(slots: Int32Array, ts: Float64Array, values: Float64Array, count: number): void {
    if (this.isHashing) {
      for (let i = 0; i < count; i += 1) this.#mix(slots[i]!, ts[i]!, values[i]!);
    } else this.#mix(slots[0]!, ts[count - 1]!, values[count - 1]!);
  }

  #mix(slot: number, ts: number, value: number): void {
    this.#floats[0] = ts;
    this.#floats[1] = value;
    let hash = this.hash + slot;
    for (const word of this.#words) hash = (Math.imul(hash, 31) + word) | 0;
    this.hash = hash;
  }
}
