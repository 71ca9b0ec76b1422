import { rollingMin } from "../../../nodes/index.ts";
import { runIndicatorSuite } from "./indicator.suite.ts";
import { LastCloses } from "./oracles.ts";

runIndicatorSuite({
  name: "rollingMin",
  lookback: 25,
  make: (bars) => rollingMin(bars, "close", { length: 25 }),
  oracle: () => new LastCloses(25, (closes) => Math.min(...closes)),
});
