import { expect, test } from "bun:test";
import { reportJson } from "../../../../runtime/engine/terminal/report-json.ts";
import { sampleReport } from "../../../harness/sample-report.ts";

test("the JSON report has the fields that programs rely on, times in ms, ranges as pairs", () => {
  const report = JSON.parse(reportJson(sampleReport)) as Record<string, unknown>;
  const [{ gaps, missing, ...stream }] = sampleReport.streams as [(typeof sampleReport.streams)[0]];
  const pairs = (ranges: typeof gaps) => ranges.map(({ start, end }) => [start, end]);
  expect(report).toMatchObject({
    strategy: "Sample",
    mode: "backtest",
    exchange: "binance",
    simulated: false,
    history: "sqlite:sample.db",
    start: sampleReport.start,
    end: sampleReport.end,
    records: 2_870,
    seconds: 0.25,
    recordsPerSecond: 11_480,
  });
  expect(report["streams"]).toEqual([
    {
      nodeId: stream.nodeId,
      definitionId: stream.definitionId,
      symbol: "BTCUSDT",
      interval: "1m",
      rows: 2_870,
      fetched: 1_440,
      requests: 3,
      missing: pairs(missing),
      confirmedEmpty: pairs(gaps),
    },
  ]);
  expect(report["nodes"]).toMatchObject([
    { nodeId: "b".repeat(32), definitionId: "e".repeat(32), name: "wide", symbol: "BTCUSDT" },
    { nodeId: "c".repeat(32), name: "silent", outputs: 0, last: null },
  ]);
});

test("no value is null for want of a number in JSON", () => {
  expect(reportJson(sampleReport)).toContain('"c": null');
});
