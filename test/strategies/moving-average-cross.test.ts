import { expect, test } from "bun:test";
import { join } from "node:path";
import { MovingAverageCross } from "../../strategies/moving_average_cross.ts";
import { runBacktest } from "../harness/backtest-run.ts";
import { scratchDirectory } from "../harness/scratch.ts";
import { readStore } from "../harness/stored-rows.ts";

const directory = scratchDirectory();
const module = new URL("../../strategies/moving_average_cross.ts", import.meta.url).href;
const symbols = ["BTCUSDT", "ETHUSDT"];

function runOf(file: string, settings: object = {}) {
  return {
    strategy: MovingAverageCross,
    module,
    symbols,
    interval: "1h",
    settings: {
      start: "2025-01-01",
      end: "2025-03-01",
      exchange: "simulated:3",
      history: `sqlite:${join(directory, file)}`,
      threads: 1,
      ...settings,
    },
  };
}

/** What closes come to: the strategy once more as a plain loop. */
function expected(closes: readonly number[]) {
  const mean = (to: number, n: number) =>
    closes.slice(to - n + 1, to + 1).reduce((a, b) => a + b, 0) / n;
  const position = closes.map((_, i) => (i >= 59 && mean(i, 20) > mean(i, 60) ? 1 : 0));
  const returns: number[] = [];
  let [equity, peak, drawdownMax, trades] = [1, 1, 0, position[59]!];
  for (let i = 60; i < closes.length; i += 1) {
    const traded = Math.abs(position[i]! - position[i - 1]!);
    // The run begins without a position: the first one is paid with the first return.
    const paid = i === 60 ? 1 - 0.001 * position[59]! : 1;
    const own = position[i - 1]! * (closes[i]! / closes[i - 1]! - 1) - 0.001 * traded;
    const ret = paid * (1 + own) - 1;
    returns.push(ret);
    if (traded > 0) trades += 1;
    equity *= 1 + ret;
    peak = Math.max(peak, equity);
    drawdownMax = Math.max(drawdownMax, 1 - equity / peak);
  }
  const average = returns.reduce((a, b) => a + b, 0) / returns.length;
  const squares = returns.reduce((a, b) => a + (b - average) ** 2, 0);
  const sharpe = (average / Math.sqrt(squares / (returns.length - 1))) * Math.sqrt(24 * 365);
  return { bars: returns.length, trades, totalReturn: equity - 1, drawdownMax, sharpe };
}

// Goal: the report's numbers by another way. Method: a plain loop over the stored closes.
test("moving_average_cross: trades, return, drawdown and Sharpe are those of a plain loop", async () => {
  const { report } = await runBacktest(runOf("loop.db"));
  const store = await readStore(join(directory, "loop.db.simulated"));
  expect(report.equity?.map(({ key }) => key)).toEqual(symbols);
  for (const [i, own] of report.equity!.entries()) {
    const closes = store.get(report.streams[i]!.nodeId)!.rows.map((row) => row[4]!);
    const wanted = expected(closes);
    expect([own.bars, own.trades]).toEqual([wanted.bars, wanted.trades]);
    expect(own.trades).toBeGreaterThan(10);
    expect(own.totalReturn).toBeCloseTo(wanted.totalReturn, 10);
    expect(own.drawdownMax).toBeCloseTo(wanted.drawdownMax, 10);
    expect(own.sharpe).toBeCloseTo(wanted.sharpe, 8);
  }
});

test("moving_average_cross: one thread and two give the same equity, and so does a second run", async () => {
  const one = await runBacktest(runOf("one.db"));
  const two = await runBacktest(runOf("two.db", { threads: 2 }));
  expect([one.report.threads, two.report.threads]).toEqual([1, 2]);
  expect(two.report.equity).toEqual(one.report.equity);
  const again = await runBacktest(runOf("one.db"));
  expect(again.report.requests).toBe(0);
  expect(again.report.equity).toEqual(one.report.equity);
});

test("moving_average_cross: a later start has the equity of its own range, whatever is stored", async () => {
  const start = "2025-02-01";
  await runBacktest(runOf("wide.db"));
  const part = await runBacktest(runOf("wide.db", { start }));
  const alone = await runBacktest(runOf("alone.db", { start }));
  expect(part.report.requests).toBe(0);
  expect(part.report.equity).toEqual(alone.report.equity);
});
