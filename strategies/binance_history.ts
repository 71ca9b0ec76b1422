/**
 * The main job: backfills bars of the exchange, replays them through three nodes per symbol and
 * reports. `bun run strategies/binance_history.ts --help` lists the flags.
 */
import {
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
    volume: toEightDecimals(window.column("volume").sum()),
    closeTime: window.value("closeTime"),
    quoteVolume: toEightDecimals(window.column("quoteVolume").sum()),
    trades: window.column("trades").sum(),
    takerBuyBase: toEightDecimals(window.column("takerBuyBase").sum()),
    takerBuyQuote: toEightDecimals(window.column("takerBuyQuote").sum()),
  };
}

/** The exchange counts in 10⁻⁸: a sum of doubles is rounded to what it prints. */
function toEightDecimals(value: number): number {
  return Number(value.toFixed(8));
}

await Runner.main(import.meta, BinanceHistory, {
  symbols: ["BTCUSDT", "ETHUSDT"],
  interval: "1m",
  days: 3,
});
