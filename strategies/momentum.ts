/**
 * A join of two symbols: the ratio of their moving averages, and how far it has left its own mean.
 * `bun run strategies/momentum.ts --symbols SOLUSDT,ETHUSDT`; `--help` lists the flags.
 */
import { Join, kline, Runner, Strategy, StreamInput, zscore } from "qmtl";

/** The first symbol's mean price in the second's, and the z-scores of its price and of the ratio. */
export class Momentum extends Strategy {
  setup() {
    const { symbols, interval } = this.flags;
    const [base = "BTCUSDT", quote = "ETHUSDT", ...more] = symbols;
    if (more.length > 0) this.note(`${more.join(", ")} left out: two symbols make a ratio`);
    const bars = { interval, period: 120, schema: kline };
    const baseBars = new StreamInput({ ...bars, name: "base", symbol: base, tags: ["spot"] });
    const quoteBars = new StreamInput({ ...bars, name: "quote", symbol: quote, tags: ["spot"] });
    const spread = new Join({
      name: "spread",
      inputs: { over: baseBars, under: quoteBars },
      lookback: 20,
      schema: { ratio: "f64" },
      params: { n: 20 },
      compute({ over, under }, { n }) {
        return { ratio: over.column("close", n).mean() / under.column("close", n).mean() };
      },
    });
    this.addNodes([
      zscore(baseBars, "close", { length: 60, name: "price_z" }),
      spread,
      zscore(spread, "ratio", { length: 60, name: "spread_z" }),
    ]);
  }
}

await Runner.main(import.meta, Momentum, {
  symbols: ["BTCUSDT", "ETHUSDT"],
  interval: "1m",
  days: 3,
});
