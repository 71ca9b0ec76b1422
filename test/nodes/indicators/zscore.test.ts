import { zscore } from "../../../nodes/index.ts";
import { runIndicatorSuite } from "./indicator.suite.ts";
import { LastCloses, meanOf } from "./oracles.ts";

runIndicatorSuite({
  name: "zscore",
  lookback: 30,
  make: (bars) => zscore(bars, "close", { length: 30 }),
  oracle: () =>
    new LastCloses(30, (closes) => {
      // Seen from the newest close: the mean of prices near 10,000 is itself only good to 1e-12.
      const newest = closes.at(-1)!;
      const away = closes.map((close) => close - newest);
      const mean = meanOf(away);
      const std = Math.sqrt(meanOf(away.map((x) => (x - mean) ** 2)));
      return std === 0 ? 0 : -mean / std;
    }),
});
