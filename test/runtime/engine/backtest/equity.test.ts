import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { openHistory } from "../../../../connectors/memory/index.ts";
import { kline, returns, StreamInput } from "../../../../nodes/index.ts";
import { Equity, equityOf } from "../../../../runtime/engine/backtest/equity.ts";
import { buildGraph } from "../../../../runtime/graph/graph.ts";
import { Interval } from "../../../../runtime/index.ts";
import { seriesOf } from "../../../../runtime/worker/replay/replay.ts";
import { rowsOf } from "../../../harness/task-run.ts";

const signal = AbortSignal.timeout(10_000);
const hour = 3_600_000;

function equityAfter(rows: readonly (readonly [ret: number, traded: number])[]): Equity {
  const equity = new Equity(Interval.of("1h"));
  for (const [i, [ret, traded]] of rows.entries()) equity.add(i * hour, ret, traded);
  return equity;
}

test("+50 %, −50 %, 0, +100 % is 1.5, 0.75, 0.75, 1.5: half lost from the peak, 50 % won", () => {
  const rows = [[0.5, 1] as const, [-0.5, 0] as const, [0, 2] as const, [1, 0] as const];
  const { sharpe, ...rest } = equityAfter(rows).summary();
  expect(rest).toEqual({
    bars: 4,
    barsWithoutValue: 0,
    trades: 2,
    totalReturn: 0.5,
    drawdownMax: 0.5,
    barsPerYear: 8_760,
    line: [
      [0, 1.5],
      [hour, 0.75],
      [2 * hour, 0.75],
      [3 * hour, 1.5],
    ],
  });
  // Mean 1 / 4, squared distances 1/16 + 9/16 + 1/16 + 9/16 = 20/16, over 3.
  expect(sharpe).toBeCloseTo((0.25 / Math.sqrt(20 / 16 / 3)) * Math.sqrt(8_760), 9);
});

test("a fall before any gain counts from 1; without variation there is no Sharpe", () => {
  const { drawdownMax, totalReturn, sharpe } = equityAfter([[-0.25, 0]]).summary();
  expect([drawdownMax, totalReturn, sharpe]).toEqual([0.25, -0.25, Number.NaN]);
  expect(equityAfter([]).summary()).toMatchObject({ bars: 0, totalReturn: 0, line: [] });
});

test("who has lost all stays at 0 (E1), and NaN leaves the equity as it is (E2)", () => {
  const ruined = equityAfter([[-1.5, 0] as const, [3, 0] as const]).summary();
  expect([ruined.totalReturn, ruined.drawdownMax]).toEqual([-1, 1]);
  const patchy = equityAfter([[0.5, 0] as const, [Number.NaN, 1] as const]).summary();
  expect(patchy).toMatchObject({ bars: 1, barsWithoutValue: 1, trades: 1, totalReturn: 0.5 });
});

test("coming into what the first bar holds is a trade that the first return pays (E4)", () => {
  const equity = new Equity(Interval.of("1h"));
  equity.enter(-0.5, 0.02);
  // A half sold short costs 1 %; the bar without a value pays nothing, the next wins 10 % of 0.99.
  equity.add(0, Number.NaN, 0);
  equity.add(hour, 0.1, 0);
  equity.add(2 * hour, 0, 0);
  const { trades, line, totalReturn } = equity.summary();
  expect([trades, Number(totalReturn.toFixed(12))]).toEqual([1, 0.089]);
  expect(line.map(([ts]) => ts)).toEqual([hour, 2 * hour]);
  const flat = new Equity(Interval.of("1h"));
  flat.enter(0, 0.02);
  flat.add(0, 0.5, 0);
  expect(flat.summary()).toMatchObject({ trades: 0, totalReturn: 0.5 });
});

// Goal: E3 for every length. Method: each point is compared with the plain product up to its bar.
test("the line is bounded, rising in time, and ends with the newest bar (E3)", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 3_000 }), (count) => {
      const equity = equityAfter(Array.from({ length: count }, () => [0.001, 0] as const));
      const { line } = equity.summary();
      expect(line.length).toBeLessThanOrEqual(257);
      expect(line.length).toBeGreaterThanOrEqual(Math.min(count, 128));
      expect(line.at(-1)![0]).toBe((count - 1) * hour);
      for (const [i, [ts, value]] of line.entries()) {
        expect(value).toBeCloseTo(1.001 ** (ts / hour + 1), 9);
        if (i > 0) expect(ts).toBeGreaterThan(line[i - 1]![0]);
      }
    }),
    { numRuns: 50 },
  );
});

test("rows that another run has stored before and after this one's outputs do not count", async () => {
  const bars = new StreamInput({ symbols: ["A", "B"], interval: "1h", period: 2, schema: kline });
  const node = returns(bars, bars, { positionField: "close", name: "worth", cost: 0.5 });
  const graph = buildGraph([node.declaration]);
  const store = await openHistory("memory:", { mode: "write", isSimulated: false }, signal);
  const index = graph.nodes.findIndex(({ name }) => name === "worth");
  // Of the second row on: half of 1 + 0.25 is left by the cost of what is held, and it doubles.
  const rows = rowsOf([0.5, 0.25, 1, 0.5].map((ret, i) => [i * hour, ret, 1, 1]));
  await store.persist(seriesOf(graph, index, "A"), { rows, have: [], empty: [] }, signal);
  const tally = { node: index, key: "A", outputs: 2, firstTs: hour, lastTs: 2 * hour };
  const tallies = [{ ...tally, lastValues: [1, 1, 1] }];
  const reports = await equityOf({ graph, store, tallies }, signal);
  expect(
    reports?.map(({ name, key, bars: count, totalReturn, trades }) => [
      name,
      key,
      count,
      totalReturn,
      trades,
    ]),
  ).toEqual([
    ["worth", "A", 2, 0.25, 3],
    ["worth", "B", 0, 0, 0],
  ]);
  const none = buildGraph([bars.declaration]);
  expect(await equityOf({ graph: none, store, tallies: [] }, signal)).toBeUndefined();
});
