/**
 * Goal: the benchmarks go on working and do the work they name. Method: each case runs on a small
 * input, where its digest must come out; inputs and oracles are the benchmarks' own.
 */
import { expect, test } from "bun:test";
import { runOnce } from "../../bench/harness.ts";
import { microSuites, suites } from "../../bench/registry.ts";
import { runBacktest } from "../../bench/stores/backtest.bench.ts";

const smallRows = 20;

for (const suite of microSuites) {
  test(`bench ${suite.name}: every case comes to its digest, time after time`, async () => {
    const open = await suite.open(smallRows);
    try {
      for (const one of open.cases) {
        await runOnce(one);
        await runOnce(one);
      }
      expect(open.cases.filter(({ role }) => role === "limit")).toHaveLength(1);
    } finally {
      await open.close?.();
    }
  });
}

test("bench backtest: 200 bars of 4 symbols give 181 averages and 141 z-scores each", async () => {
  const report = await runBacktest(200, AbortSignal.timeout(30_000));
  expect(report.records).toBe(800);
  expect(report.nodes.reduce((sum, { outputs }) => sum + outputs, 0)).toBe(4 * (181 + 141));
});

test("suites have names of their own", () => {
  expect(new Set(suites.map(({ name }) => name)).size).toBe(suites.length);
});
