/**
 * A backtest as a user starts it, in one thread, on history that is there.
 * Measures: reading from a store in memory, windows, moving average and z-score of each symbol,
 * outputs stored (2 rows a bar); as in
 * development, where views are emptied after each call: NODE_ENV=production leaves that out.
 * Does not measure: the exchange, a disk, the start of threads.
 */
import { openHistory } from "../../connectors/memory/index.ts";
import { kline, Runner, Strategy, StreamInput, sma, zscore } from "../../nodes/index.ts";
import { buildGraph } from "../../runtime/graph/graph.ts";
import {
  type BacktestReport,
  type HistoryStore,
  newColumnBatch,
  type Series,
} from "../../runtime/index.ts";
import { type Measured, medianOf, type Suite } from "../harness.ts";

const minuteMs = 60_000;
const startMs = 1_600_000_020_000;
const symbols = ["AAAUSDT", "BBBUSDT", "CCCUSDT", "DDDUSDT"] as const;
const rounds = 3;

class TwoAverages extends Strategy {
  setup(): void {
    const bars = barsOf(this.flags.symbols);
    this.addNodes([sma(bars, "close", { length: 20 }), zscore(bars, "close", { length: 60 })]);
  }
}

function barsOf(names: readonly string[]): StreamInput<typeof kline> {
  return new StreamInput({ symbols: names, interval: "1m", period: 60, schema: kline });
}

/** A backtest, end to end. */
export const backtest: Suite = {
  name: "backtest",
  needsServers: false,
  async measure({ timeMs }, signal): Promise<readonly Measured[]> {
    const barsPerSymbol = Math.max(10_000, Math.min(200_000, timeMs * 100));
    const reports: BacktestReport[] = [];
    const bare: number[] = [];
    for (let round = 0; round < rounds; round += 1) {
      reports.push(await runBacktest(barsPerSymbol, signal));
      bare.push(bareLoop(barsPerSymbol * symbols.length));
    }
    return [
      {
        name: "backtest",
        role: "ours",
        nsPerRecord: medianOf(reports.map((report) => 1e9 / report.recordsPerSecond)),
        note: `${symbols.length} symbols × ${barsPerSymbol} bars, 2 nodes`,
      },
      { name: "the two averages by hand", role: "limit", nsPerRecord: medianOf(bare) },
    ];
  },
};

/** One backtest over `count` bars of each symbol, from a fresh store. */
export async function runBacktest(count: number, signal: AbortSignal): Promise<BacktestReport> {
  const history = `memory:bench-${crypto.randomUUID()}?bytesMax=${2 ** 34}`;
  const store = await openHistory(history, { mode: "write", isSimulated: false }, signal);
  try {
    const [stream] = buildGraph([barsOf(symbols).declaration]).nodes;
    for (const { key, nodeId } of stream!.keys) {
      const { definitionId } = stream!;
      await fill(store, { nodeId, definitionId, key, interval: "1m", schema: kline }, count);
    }
    return await Runner.backtest(TwoAverages, {
      symbols,
      interval: "1m",
      startTime: startMs,
      endTime: startMs + count * minuteMs,
      history,
      threads: 1,
      signal,
    });
  } finally {
    await store.close();
  }
}

async function fill(store: HistoryStore, series: Series, count: number): Promise<void> {
  const rows = newColumnBatch(count, Object.keys(kline).length);
  for (let i = 0; i < count; i += 1) {
    rows.ts[i] = startMs + i * minuteMs;
    for (const [c, column] of rows.columns.entries()) {
      column[i] = 100 + (Math.imul(i + c, 2_654_435_761) >>> 25) / 64;
    }
    rows.columns[5]![i] = rows.ts[i]! + minuteMs - 1;
    rows.columns[7]![i] = i & 1_023;
  }
  const have = [{ start: startMs, end: startMs + count * minuteMs }];
  await store.persist(series, { rows, have, empty: [] }, new AbortController().signal);
}

/** ns a bar of the same arithmetic in one loop over an array, nothing stored. */
function bareLoop(count: number): number {
  const closes = Float64Array.from({ length: count }, (_, i) => 100 + ((i * 37) % 101) / 64);
  const out = new Float64Array(count * 2);
  const started = performance.now();
  let short = 0;
  let long = 0;
  let squares = 0;
  for (let i = 60; i < count; i += 1) {
    const close = closes[i]!;
    short += close - closes[i - 20]!;
    const oldest = closes[i - 60]!;
    long += close - oldest;
    squares += close * close - oldest * oldest;
    const mean = long / 60;
    out[2 * i] = short / 20;
    out[2 * i + 1] = (close - mean) / Math.sqrt(squares / 60 - mean * mean);
  }
  return ((performance.now() - started) * 1e6) / count;
}
