import { type Interval } from "../../../runtime/index.ts";
import { type BarSeries, type Market, type TimeUnit, timesOf } from "./market.ts";

/** What symbols are priced in: `BTCUSDT` is BTC in USDT. */
export const quoteAssets =
  "USDT USDC FDUSD TUSD BUSD USD1 BTC ETH BNB EUR GBP TRY BRL JPY AUD MXN ARS PLN ZAR".split(" ");

/** Prices at which the walks of well-known symbols are centred. */
const centres: Readonly<Record<string, number>> = {
  BTCUSDT: 60_000,
  ETHUSDT: 3_000,
  BNBUSDT: 500,
  SOLUSDT: 140,
  XRPUSDT: 0.6,
  ADAUSDT: 0.45,
  DOGEUSDT: 0.12,
  AVAXUSDT: 30,
  DOTUSDT: 6,
  LINKUSDT: 14,
  LTCUSDT: 80,
  TRXUSDT: 0.13,
};
const symbolPattern = new RegExp(String.raw`^[A-Z0-9]{1,15}(${quoteAssets.join("|")})$`);

/** Deviation of the log price in one second: 0.05 % a minute, 1.9 % a day. */
const deviationPerSecond = 6.5e-5;
/** Waves of 1 s, 2 s, 4 s … 2^25 s, about a year. */
const waveCount = 26;
/** Money traded in a second, in units of the quote asset. */
const quotePerSecond = 20_000;

/**
 * Bars of a seeded random walk, at once for any time: nothing is walked from a beginning.
 *
 *   N1  The log price at a second is a sum of waves, each a straight line between two hashed
 *       heights, 1 s to a year long and growing with the square root of their length, as a random
 *       walk's do. Same seed and symbol, same price, whoever asks in whatever order.
 *   N2  A bar opens at the price of its opening second and closes at that of the next bar's, so
 *       open = previous close, and opens and closes agree across intervals. Highs, lows and
 *       volumes are drawn per bar: bars of a longer interval do not add up from shorter ones.
 *   N3  The bar that is open at the exchange's clock shows the price of now and a part of its
 *       volume, and changes as the clock goes on.
 */
export function generatedMarket(seed: number): Market {
  return {
    symbols: Object.keys(centres),
    knows: (symbol) => symbolPattern.test(symbol),
    serverTimeMs: (wallMs) => wallMs,
    series: (symbol, interval) => new GeneratedSeries(seed, symbol, interval),
  };
}

class GeneratedSeries implements BarSeries {
  readonly begin = 0;
  readonly #interval: Interval;
  readonly #waves: readonly Wave[];
  readonly #centre: number;
  readonly #priceDecimals: number;
  readonly #volumeDecimals: number;
  readonly #barSeed: number;
  #lastSecond = Number.NaN;
  #lastTicks = 0;

  constructor(seed: number, symbol: string, interval: Interval) {
    this.#interval = interval;
    const symbolSeed = hashText(seed, symbol);
    this.#waves = wavesOf(symbolSeed);
    this.#barSeed = hashText(symbolSeed, interval.name);
    this.#centre = centres[symbol] ?? 0.5 * 1_000 ** unitOf(mix(symbolSeed, 1));
    this.#priceDecimals = this.#centre >= 100 ? 2 : 4;
    this.#volumeDecimals = this.#centre >= 1 ? 5 : 1;
  }

  end(nowMs: number): number {
    return this.#interval.indexOf(nowMs) + 1;
  }

  lowerBound(timeMs: number): number {
    return this.#interval.indexOf(this.#interval.ceil(timeMs));
  }

  openOf(index: number): number {
    return this.#interval.openOf(index);
  }

  textOf(index: number, nowMs: number, unit: TimeUnit): string {
    const openMs = this.openOf(index);
    const nextMs = this.openOf(index + 1);
    const share = Math.min(1, Math.max(0, (nowMs - openMs) / (nextMs - openMs)));
    const open = this.#ticksAt(openMs);
    const close = this.#ticksAt(Math.min(nextMs, Math.floor(nowMs / 1_000) * 1_000));
    const draw = mix(mix(this.#barSeed, index), 7);
    const wick = deviationPerSecond * Math.sqrt((nextMs - openMs) / 1_000) * open * share;
    const high = Math.max(open, close) + Math.round(wick * unitOf(draw));
    const low = Math.max(1, Math.min(open, close) - Math.round(wick * unitOf(mix(draw, 1))));
    const seconds = ((nextMs - openMs) / 1_000) * share;
    const price = (open + close) / 2 / 10 ** this.#priceDecimals;
    const quote = quotePerSecond * seconds * (0.3 + 1.4 * unitOf(mix(draw, 2)));
    const takerShare = 0.3 + 0.4 * unitOf(mix(draw, 3));
    const volume = Math.round((quote / price) * 10 ** this.#volumeDecimals);
    const trades = Math.round(seconds * (2 + 20 * unitOf(mix(draw, 4))));
    const [from, to] = timesOf(openMs, nextMs - 1, unit);
    const prices = [open, high, low, close].map((ticks) => decimalText(ticks, this.#priceDecimals));
    const volumeText = decimalText(volume, this.#volumeDecimals);
    const takerText = decimalText(Math.round(volume * takerShare), this.#volumeDecimals);
    const quoteText = decimalText(Math.round(quote * 1e4), 4);
    const takerQuoteText = decimalText(Math.round(quote * takerShare * 1e4), 4);
    return `[${from},"${prices.join('","')}","${volumeText}",${to},"${quoteText}",${trades},"${takerText}","${takerQuoteText}","0"]`;
  }

  /** Price at a full second, in ticks. The last one is kept: a bar opens where the last closed. */
  #ticksAt(timeMs: number): number {
    const second = Math.floor(timeMs / 1_000);
    if (second !== this.#lastSecond) {
      const price = this.#centre * Math.exp(logPriceAt(this.#waves, second));
      this.#lastTicks = Math.max(1, Math.round(price * 10 ** this.#priceDecimals));
      this.#lastSecond = second;
    }
    return this.#lastTicks;
  }
}

/** One wave of the log price. */
interface Wave {
  readonly seconds: number;
  readonly height: number;
  readonly seed: number;
}

function wavesOf(seed: number): readonly Wave[] {
  return Array.from({ length: waveCount }, (_, wave) => ({
    seconds: 2 ** wave,
    height: deviationPerSecond * Math.sqrt(2 ** wave),
    seed: mix(seed, wave + 100),
  }));
}

function logPriceAt(waves: readonly Wave[], second: number): number {
  let sum = 0;
  for (const wave of waves) {
    const at = second / wave.seconds;
    const left = Math.floor(at);
    const from = unitOf(mix(wave.seed, left));
    const to = unitOf(mix(wave.seed, left + 1));
    sum += wave.height * (2 * (from + (to - from) * (at - left)) - 1);
  }
  return sum;
}

/** Hash of two 32-bit integers. */
function mix(seed: number, value: number): number {
  let hash = Math.imul(seed ^ Math.imul(value, 0x9e3779b1), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 15), 0xc2b2ae35);
  hash = Math.imul(hash ^ (hash >>> 13), 0x27d4eb2f);
  return (hash ^ (hash >>> 16)) >>> 0;
}

function hashText(seed: number, text: string): number {
  let hash = mix(seed, text.length);
  for (let i = 0; i < text.length; i += 1) hash = mix(hash, text.charCodeAt(i));
  return hash;
}

/** A hash as a number in [0, 1). */
function unitOf(hash: number): number {
  return hash / 2 ** 32;
}

/** `units` · 10^−decimals with 8 decimals; a third of the cost of `toFixed`, and exact. */
function decimalText(units: number, decimals: number): string {
  const scale = 10 ** decimals;
  const whole = Math.floor(units / scale);
  const part = String(units - whole * scale + scale).slice(1);
  return `${whole}.${part}${"00000000".slice(decimals)}`;
}
