import { type BacktestReport } from "../../runtime/engine/backtest/report.ts";

const start = Date.UTC(2025, 0, 1);
const hour = 3_600_000;

/** A report with everything in it that a report can have. */
export const sampleReport: BacktestReport = {
  strategy: "Sample",
  mode: "backtest",
  exchange: "binance",
  simulated: false,
  history: "sqlite:sample.db",
  start,
  end: start + 48 * hour,
  threads: 1,
  streams: [
    {
      name: "bars",
      key: "BTCUSDT",
      nodeId: "a".repeat(32),
      definitionId: "d".repeat(32),
      interval: "1m",
      rows: 2_870,
      fetched: 1_440,
      requests: 3,
      gaps: [{ start: start + hour, end: start + hour + 600_000 }],
      missing: Array.from({ length: 7 }, (_, i) => ({
        start: start + (20 + i) * hour,
        end: start + (20 + i) * hour + 60_000,
      })),
    },
  ],
  nodes: [
    {
      name: "wide",
      key: "BTCUSDT",
      nodeId: "b".repeat(32),
      definitionId: "e".repeat(32),
      interval: "1h",
      outputs: 2_811,
      last: {
        ts: start + 47 * hour,
        values: { a: 1, b: 0.123456789012, c: Number.NaN, d: -2, e: 5, f: 6 },
      },
    },
    {
      name: "silent",
      key: "BTCUSDT",
      nodeId: "c".repeat(32),
      definitionId: "f".repeat(32),
      interval: "1h",
      outputs: 0,
      last: null,
    },
  ],
  refused: 2,
  late: 1,
  records: 2_870,
  requests: 3,
  backfillSeconds: 0.5,
  replaySeconds: 0.25,
  recordsPerSecond: 11_480,
  notes: ["something was left out"],
};
