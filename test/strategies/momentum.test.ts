import { expect, test } from "bun:test";
import { join } from "node:path";
import { Momentum } from "../../strategies/momentum.ts";
import { runBacktest } from "../harness/backtest-run.ts";
import { scratchDirectory } from "../harness/scratch.ts";
import { readStore } from "../harness/stored-rows.ts";

const directory = scratchDirectory();

// Goal: the join's numbers by another way. Method: plain loops over the stored bars.
test("momentum: ratio and z-scores are those of plain loops over the stored bars", async () => {
  const path = join(directory, "momentum.db");
  const { report } = await runBacktest({
    strategy: Momentum,
    symbols: ["SOLUSDT", "ETHUSDT", "BTCUSDT"],
    settings: {
      start: "2025-02-01",
      end: "2025-02-01T04:00",
      exchange: "simulated:2",
      history: `sqlite:${path}`,
    },
  });
  expect(report.notes).toEqual(["BTCUSDT left out: two symbols make a ratio"]);
  expect(report.nodes.map(({ name, key, outputs }) => [name, key, outputs])).toEqual([
    ["price_z", "SOLUSDT", 240 - 59],
    ["spread", "SOLUSDT|ETHUSDT", 240 - 19],
    ["spread_z", "SOLUSDT|ETHUSDT", 240 - 19 - 59],
  ]);
  const store = await readStore(`${path}.simulated`);
  const rowsOf = (nodeId: string) => store.get(nodeId)?.rows ?? [];
  const [sol, eth] = report.streams.map(({ nodeId }) => rowsOf(nodeId).map((row) => row[4]!));
  const [priceZ, spread, spreadZ] = report.nodes.map(({ nodeId }) => rowsOf(nodeId));
  const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;
  const zOf = (values: readonly number[]) => {
    const centre = mean(values);
    return (values.at(-1)! - centre) / Math.sqrt(mean(values.map((v) => (v - centre) ** 2)));
  };
  const expectClose = (rows: readonly (readonly number[])[], of: (i: number) => number) => {
    for (const [i, row] of rows.entries()) expect(row[1]!).toBeCloseTo(of(i), 9);
  };
  expectClose(priceZ!, (i) => zOf(sol!.slice(i, i + 60)));
  expectClose(spread!, (i) => mean(sol!.slice(i, i + 20)) / mean(eth!.slice(i, i + 20)));
  const ratios = spread!.map((row) => row[1]!);
  expectClose(spreadZ!, (i) => zOf(ratios.slice(i, i + 60)));
});
