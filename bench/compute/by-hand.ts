import {
  closeColumn,
  keyCount,
  type Market,
  signalAbove,
  windowLength,
  zscoreOf,
} from "../market.ts";

interface Bar {
  readonly ts: number;
  readonly close: number;
}

/**
 * The workload as it is mostly written: a window of objects per key, gone over for each bar. Each
 * lap counts the signals; it begins with the windows that the lap before left.
 */
export class ObjectWindows {
  readonly #windows = new Map<number, Bar[]>();
  readonly #market: Market;

  constructor(market: Market) {
    this.#market = market;
    this.lap();
  }

  lap(): number {
    const { columns, count, ts } = this.#market.batch;
    const closes = columns[closeColumn]!;
    let signals = 0;
    for (let i = 0; i < count; i += 1) {
      const key = i % keyCount;
      let window = this.#windows.get(key);
      if (window === undefined) this.#windows.set(key, (window = []));
      window.push({ ts: ts[i]!, close: closes[i]! });
      if (window.length > windowLength) window.shift();
      if (window.length < windowLength) continue;
      if (Math.abs(zscoreOf(window.map(({ close }) => close))) > signalAbove) signals += 1;
    }
    return signals;
  }
}

/**
 * The workload in one loop over typed arrays with running sums: what a hand can do in this language
 * if nothing has to be general. All fields are kept. Prices here are exact in any order of sums.
 */
export class BareLoop {
  readonly #market: Market;
  readonly #rings: readonly Float64Array[];
  readonly #sums = new Float64Array(keyCount);
  readonly #squares = new Float64Array(keyCount);
  readonly #heads = new Int32Array(keyCount);

  constructor(market: Market) {
    this.#market = market;
    const { columns } = market.batch;
    this.#rings = columns.map(() => new Float64Array(keyCount * windowLength));
    this.lap();
  }

  lap(): number {
    const { columns, count } = this.#market.batch;
    const closes = columns[closeColumn]!;
    const ring = this.#rings[closeColumn]!;
    const sums = this.#sums;
    const squares = this.#squares;
    let signals = 0;
    for (let i = 0; i < count; i += 1) {
      const key = i % keyCount;
      const head = this.#heads[key]!;
      const at = key * windowLength + head;
      const close = closes[i]!;
      const oldest = ring[at]!;
      for (let c = 0; c < columns.length; c += 1) this.#rings[c]![at] = columns[c]![i]!;
      this.#heads[key] = head + 1 === windowLength ? 0 : head + 1;
      sums[key]! += close - oldest;
      squares[key]! += close * close - oldest * oldest;
      const mean = sums[key]! / windowLength;
      const variance = squares[key]! / windowLength - mean * mean;
      if (Math.abs(close - mean) > signalAbove * Math.sqrt(variance)) signals += 1;
    }
    return signals;
  }
}
