import { rollingMax } from "../../../nodes/index.ts";
import { runIndicatorSuite } from "./indicator.suite.ts";
import { LastCloses } from "./oracles.ts";

runIndicatorSuite({
  name: "rollingMax",
  lookback: 25,
  make: (bars) => rollingMax(bars, "close", { length: 25 }),
  oracle: () => new LastCloses(25, (closes) => Math.max(...closes)),
});
