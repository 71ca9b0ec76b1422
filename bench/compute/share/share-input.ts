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
  /** Rows that are handed over in one call: of one key. */
  readonly runs: readonly { readonly slot: number; readonly from: number; readonly to: number }[];
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
  return { batch, key, runs: runsOf(key, minutes, order), lapMs: minutes * minuteMs };
}

function runsOf(key: Int32Array, minutes: number, order: Order): ShareInput["runs"] {
  const most = order === "keys" ? batchRows : 1;
  const runs: { slot: number; from: number; to: number }[] = [];
  for (let from = 0; from < key.length; ) {
    const end = order === "keys" ? (Math.floor(from / minutes) + 1) * minutes : key.length;
    const to = Math.min(end, from + most);
    runs.push({ slot: key[from]!, from, to });
    from = to;
  }
  return runs;
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
