/** Symbols of the work: `SYM00` to `SYM63`. */
export const symbolCount = 64;

/** Bars of a window, and |z| from which on its newest bar is a signal. */
export const windowBars = 60;

/** Keys as they go on the wire. */
export const symbolBytes: readonly Uint8Array[] = Array.from({ length: symbolCount }, (_, i) =>
  new TextEncoder().encode(`SYM${String(i).padStart(2, "0")}`),
);

const minuteMs = 60_000;
/** Open time of the first bar, ms: a whole minute. */
const startMs = 1_700_000_040_000;
const seed = 20_240_607;
const seedStep = 1_000_003;
/** Prices are whole 64ths. */
const tick = 64;
const priceMin = 100 * tick;
const priceMax = 16_000 * tick;

/** Columns of a bar, in the order of the wire. */
export const column = {
  open: 0,
  high: 1,
  low: 2,
  close: 3,
  volume: 4,
  closeTime: 5,
  quoteVolume: 6,
  trades: 7,
} as const;

/**
 * The bars of the work, minute by minute, the symbols in order: a random walk per symbol, the same
 * on every machine (splitmix64 in two 32-bit halves, as BigInt takes a hundred times as long).
 *
 *   B1  Prices are whole multiples of 1/64 below 2^14, so that sums of 60 closes and of their
 *       squares are exact in float64 in any order: every implementation counts the same signals.
 *   B2  The first n bars are the same whatever comes after them.
 */
export class BarWalk {
  /** Symbol of the bar, its open time in ms, and one value per column. */
  symbol = -1;
  openTime = startMs - minuteMs;
  readonly row: readonly Float64Array[] = Object.keys(column).map(() => new Float64Array(1));
  /** Close of the bar in 64ths. */
  closeTicks = 0;
  readonly #high = new Uint32Array(symbolCount);
  readonly #low = new Uint32Array(symbolCount);
  readonly #price = new Int32Array(symbolCount);

  constructor() {
    for (let symbol = 0; symbol < symbolCount; symbol += 1) {
      this.#low[symbol] = seed + symbol * seedStep;
      this.#price[symbol] = tick * (1_000 + this.#below(symbol, 1_000));
    }
    this.symbol = symbolCount - 1;
  }

  /** Goes on to the next bar. */
  next(): void {
    this.symbol += 1;
    if (this.symbol === symbolCount) {
      this.symbol = 0;
      this.openTime += minuteMs;
    }
    const { symbol, row } = this;
    const open = this.#price[symbol]!;
    const moved = open + this.#below(symbol, 129) - 64;
    const close = moved < priceMin || moved > priceMax ? open : moved;
    this.#price[symbol] = close;
    this.closeTicks = close;
    const high = Math.max(open, close) + this.#below(symbol, 32);
    const low = Math.min(open, close) - this.#below(symbol, 32);
    const volume = this.#below(symbol, 1_000_000) / 100;
    row[column.open]![0] = open / tick;
    row[column.high]![0] = high / tick;
    row[column.low]![0] = low / tick;
    row[column.close]![0] = close / tick;
    row[column.volume]![0] = volume;
    row[column.closeTime]![0] = this.openTime + minuteMs - 1;
    row[column.quoteVolume]![0] = volume * (close / tick);
    row[column.trades]![0] = this.#below(symbol, 5_000);
  }

  /** The symbol's next random number, its upper 53 bits modulo `limit`. */
  #below(symbol: number, limit: number): number {
    const low = this.#low[symbol]! + 0x7f4a7c15;
    const carry = low > 0xffff_ffff ? 1 : 0;
    this.#low[symbol] = low;
    this.#high[symbol] = this.#high[symbol]! + 0x9e3779b9 + carry;
    product.high = this.#high[symbol]!;
    product.low = this.#low[symbol]!;
    foldAndMultiply(30, 0xbf58476d, 0x1ce4e5b9);
    foldAndMultiply(27, 0x94d049bb, 0x133111eb);
    foldAndMultiply(31, 0, 1);
    return (product.high * 2 ** 21 + (product.low >>> 11)) % limit;
  }
}

const product = { high: 0, low: 0 };

/** `product` = (product ^ product >>> shift) × (high, low), modulo 2^64. */
function foldAndMultiply(shift: number, high: number, low: number): void {
  const a = (product.low ^ ((product.low >>> shift) | (product.high << (32 - shift)))) >>> 0;
  const b = (product.high ^ (product.high >>> shift)) >>> 0;
  const a0 = a & 0xffff;
  const a1 = a >>> 16;
  const c0 = low & 0xffff;
  const c1 = low >>> 16;
  const bottom = a0 * c0;
  const left = a1 * c0;
  const right = a0 * c1;
  const middle = (bottom >>> 16) + (left & 0xffff) + (right & 0xffff);
  const top = a1 * c1 + (left >>> 16) + (right >>> 16) + (middle >>> 16);
  product.low = ((middle << 16) | (bottom & 0xffff)) >>> 0;
  product.high = (top + (Math.imul(a, high) >>> 0) + (Math.imul(b, low) >>> 0)) % 2 ** 32;
}

/**
 * Signals among the first `records` bars, in whole numbers without any rounding: with c, S and Q
 * the close, the sum and the sum of squares of its window in 64ths, |z| > 2 is
 * (60c − S)² > 4 (60Q − S²); all of them stay below 2^53.
 */
export function expectedSignals(records: number): number {
  const walk = new BarWalk();
  const closes = new Int32Array(symbolCount * windowBars);
  const sums = new Float64Array(symbolCount);
  const squares = new Float64Array(symbolCount);
  let signals = 0;
  for (let i = 0; i < records; i += 1) {
    walk.next();
    const { symbol, closeTicks: close } = walk;
    const minute = Math.floor(i / symbolCount);
    const at = symbol * windowBars + (minute % windowBars);
    const gone = closes[at]!;
    closes[at] = close;
    sums[symbol] = sums[symbol]! + close - gone;
    squares[symbol] = squares[symbol]! + close * close - gone * gone;
    if (minute < windowBars - 1) continue;
    const distance = windowBars * close - sums[symbol];
    const spread = windowBars * squares[symbol] - sums[symbol] * sums[symbol];
    if (distance * distance > 4 * spread) signals += 1;
  }
  return signals;
}
