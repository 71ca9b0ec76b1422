import { sma } from "../../../nodes/index.ts";
import { runIndicatorSuite } from "./indicator.suite.ts";
import { LastCloses, meanOf } from "./oracles.ts";

runIndicatorSuite({
  name: "sma",
  lookback: 20,
  make: (bars) => sma(bars, "close", { length: 20 }),
  oracle: () => new LastCloses(20, meanOf),
});
