/**
 * A position and what it is worth: all in while the fast average is above the slow one, else out.
 * `bun run strategies/moving_average_cross.ts --symbols SOLUSDT`; `--help` lists the flags.
 */
import { Join, kline, Runner, returns, Strategy, StreamInput, sma } from "qmtl";

const fastBars = 20;
const slowBars = 60;

/** Holds each symbol while its fast moving average is above the slow one. */
export class MovingAverageCross extends Strategy {
  setup() {
    const { symbols, interval } = this.flags;
    const bars = new StreamInput({
      name: "bars",
      symbols,
      interval,
      period: slowBars,
      schema: kline,
    });
    const position = new Join({
      name: "position",
      inputs: {
        fast: sma(bars, "close", { length: fastBars, name: "fast" }),
        slow: sma(bars, "close", { length: slowBars, name: "slow" }),
      },
      schema: { position: "f64" },
      compute({ fast, slow }) {
        return { position: fast.value("sma") > slow.value("sma") ? 1 : 0 };
      },
    });
    this.addNodes([position, returns(position, bars, { cost: 0.001 })]);
  }
}

await Runner.main(import.meta, MovingAverageCross, {
  symbols: ["BTCUSDT", "ETHUSDT"],
  interval: "1h",
  days: 90,
});
