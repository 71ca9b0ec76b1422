/**
 * Cost of one record through a strategy, from columns to the sink.
 * Measures: windows, 1 node (z-score of 60) or 3 (moving average, z-score, a user's function that
 * works out the z-score), outputs counted where |z| > 2. Baseline and
 * limit work out one z-score, also beside the chain of 3.
 * Does not measure: fetch, decode, encode.
 */
import { Node, StreamInput, sma, zscore } from "../../nodes/index.ts";
import { type BenchCase, type MicroSuite } from "../harness.ts";
import {
  bars,
  keys,
  type Market,
  makeMarket,
  signalAbove,
  signalsOf,
  windowLength,
} from "../market.ts";
import { BareLoop, ObjectWindows } from "./by-hand.ts";
import { TaskFeed } from "./task-feed.ts";

const input = new StreamInput({
  symbols: keys,
  interval: "1m",
  period: windowLength,
  schema: bars,
});
const operator = zscore(input, "close", { length: windowLength });
const average = sma(input, "close", { length: 20 });
const computed = new Node({
  name: "computed",
  input,
  lookback: windowLength,
  schema: { z: "f64" },
  params: { length: windowLength },
  compute: (window, { length }) => ({ z: window.column("close", length).zscore() }),
});

/** Records through nodes. */
export const chain: MicroSuite = {
  name: "chain",
  rows: 12_800,
  open(wanted) {
    const market = makeMarket(wanted);
    const rows = market.batch.count;
    const digest = signalsOf(market);
    const objects = new ObjectWindows(market);
    const bare = new BareLoop(market);
    return {
      cases: [
        caseOf("chain of 1 operator", [operator], market, digest),
        caseOf("chain of 1 function", [computed], market, digest),
        caseOf("chain of 3", [average, operator, computed], market, digest * 2),
        { name: "windows of objects", role: "baseline", rows, digest, run: () => objects.lap() },
        { name: "one bare loop", role: "limit", rows, digest, run: () => bare.lap() },
      ],
    };
  },
};

function caseOf(
  name: string,
  nodes: ConstructorParameters<typeof TaskFeed>[0],
  market: Market,
  digest: number,
): BenchCase {
  let signals = 0;
  const feed = new TaskFeed(nodes, market, ({ schema }, { columns: [values], count }) => {
    if (!("z" in schema)) return;
    for (let i = 0; i < count; i += 1) if (Math.abs(values![i]!) > signalAbove) signals += 1;
  });
  const run = (): number => {
    signals = 0;
    feed.lap(() => undefined);
    return signals;
  };
  return { name, role: "ours", rows: market.batch.count, digest, run };
}
