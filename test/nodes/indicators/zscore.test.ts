import { zscore } from "../../../nodes/index.ts";
import { runIndicatorSuite } from "./indicator.suite.ts";
import { LastCloses, meanOf } from "./oracles.ts";

runIndicatorSuite({
  name: "zscore",
  lookback: 30,
  make: (bars) => zscore(bars, "close", { length: 30 }),
  oracle: () =>
    new LastCloses(30, (closes) => {
      const mean = meanOf(closes);
      const std = Math.sqrt(meanOf(closes.map((close) => (close - mean) ** 2)));
      return std === 0 ? 0 : (closes.at(-1)! - mean) / std;
    }),
});
