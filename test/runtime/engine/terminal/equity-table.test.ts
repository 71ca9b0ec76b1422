import { expect, test } from "bun:test";
import { stripVTControlCharacters } from "node:util";
import { type EquityReport } from "../../../../runtime/engine/backtest/report.ts";
import { renderEquity, sparkline } from "../../../../runtime/engine/terminal/equity-table.ts";
import { reportJson } from "../../../../runtime/engine/terminal/report-json.ts";
import { renderReport } from "../../../../runtime/engine/terminal/report-table.ts";
import { sampleReport } from "../../../harness/sample-report.ts";

const equity: EquityReport = {
  name: "worth",
  key: "BTCUSDT",
  nodeId: "a".repeat(32),
  definitionId: "b".repeat(32),
  bars: 3,
  barsWithoutValue: 0,
  trades: 1_234,
  totalReturn: 0.12345,
  drawdownMax: 0.5,
  sharpe: 1.234,
  barsPerYear: 8_760,
  line: [
    [0, 1],
    [1, 0.5],
    [2, 1.12345],
  ],
};

test("trades, return, drawdown, Sharpe and the line stand in a table, the convention below it", () => {
  const text = stripVTControlCharacters(renderReport({ ...sampleReport, equity: [equity] }));
  expect(text).toMatch(/worth +│ BTCUSDT │ +1,234 │ +12\.35 % │ +50\.00 % │ +1\.23 │ ▇▁█ /);
  expect(text).toContain("× √(8,760 bars in 365 days)");
});

test("a report without returns says nothing of equity", () => {
  expect(renderEquity([])).toBe("");
  expect(renderReport(sampleReport)).not.toContain("Sharpe");
  expect(JSON.parse(reportJson(sampleReport))).not.toHaveProperty("equity");
});

test("bars without a value are counted, and no Sharpe is a dash", () => {
  const patchy = { ...equity, barsWithoutValue: 2, sharpe: Number.NaN };
  const text = stripVTControlCharacters(renderEquity([patchy]));
  expect(text).toContain("returns worth BTCUSDT: 2 bars have no value, left out");
  expect(text).toMatch(/50\.00 % │ +– │/);
});

test("the JSON report has the equity by symbol, the line as pairs", () => {
  const { equity: found } = JSON.parse(reportJson({ ...sampleReport, equity: [equity] })) as {
    readonly equity: unknown;
  };
  const { key, ...rest } = equity;
  expect(found).toEqual([{ ...rest, symbol: key }]);
});

test("a sparkline is at most 32 wide, ends with the newest value, and is flat for equal ones", () => {
  expect(sparkline([1, 2, 3, 4, 5, 6, 7, 8])).toBe("▁▂▃▄▅▆▇█");
  expect(sparkline(Array.from({ length: 1_000 }, (_, i) => (i === 999 ? 1 : 0)))).toBe(
    `${"▁".repeat(31)}█`,
  );
  expect(sparkline([5, 5])).toBe("▁▁");
  expect(sparkline([])).toBe("");
});
