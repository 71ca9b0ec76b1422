/**
 * The main job: backfills bars of the exchange, replays them through three nodes per symbol and
 * reports. `bun run strategies/binance_history.ts --help` lists the flags.
 */
import {
  type Column,
  type Context,
  kline,
  Node,
  Runner,
  Strategy,
  StreamInput,
  sma,
  type Window,
  zscore,
} from "qmtl";

const barsPerGroup = 5;
const minuteMs = 60_000;
const unitsPerOne = 100_000_000;

/** A moving average, a z-score and five-minute bars of each symbol. */
export class BinanceHistory extends Strategy {
  setup() {
    const { symbols, interval } = this.flags;
    const bars = new StreamInput({ name: "bars", symbols, interval, period: 60, schema: kline });
    this.addNodes([
      bars,
      sma(bars, "close", { length: 20, name: "sma" }),
      zscore(bars, "close", { length: 60, name: "zscore" }),
    ]);
    if (interval !== "1m") {
      this.note(`bars_5m is left out: it is made of 1m bars, the interval is ${interval}`);
      return;
    }
    const fiveMinutes = new Node({
      name: "bars_5m",
      input: bars,
      interval: "5m",
      lookback: barsPerGroup,
      schema: kline,
      compute: groupOfFive,
    });
    this.addNodes([fiveMinutes]);
  }
}

/** The five 1m bars of one interval as one bar; nothing unless all five are there. */
function groupOfFive(window: Window<typeof kline>, _params: unknown, { time }: Context) {
  const open = time - barsPerGroup * minuteMs;
  for (let i = 0; i < barsPerGroup; i += 1) {
    if (window.times.at(i) !== open + i * minuteMs) return undefined;
  }
  return {
    open: window.value("open", 0),
    high: window.column("high").max(),
    low: window.column("low").min(),
    close: window.value("close"),
    volume: exactSum(window.column("volume")),
    closeTime: window.value("closeTime"),
    quoteVolume: exactSum(window.column("quoteVolume")),
    trades: window.column("trades").sum(),
    takerBuyBase: exactSum(window.column("takerBuyBase")),
    takerBuyQuote: exactSum(window.column("takerBuyQuote")),
  };
}

/**
 * The exchange counts in 10⁻⁸: as whole units the sum is exact below 2⁵³ of them, where a sum of
 * doubles can be off by one. The fraction is taken first, for its product with 10⁸ is exact enough.
 */
function exactSum(column: Column): number {
  let units = 0;
  for (let i = 0; i < column.length; i += 1) {
    const value = column.at(i);
    const whole = Math.floor(value);
    units += whole * unitsPerOne + Math.round((value - whole) * unitsPerOne);
  }
  return units / unitsPerOne;
}

await Runner.main(import.meta, BinanceHistory, {
  symbols: ["BTCUSDT", "ETHUSDT"],
  interval: "1m",
  days: 3,
});
