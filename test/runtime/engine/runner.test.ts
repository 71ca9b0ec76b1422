import { expect, test } from "bun:test";
import { join } from "node:path";
import { Runner } from "qmtl";
import { BinanceHistory } from "../../../strategies/binance_history.ts";
import { failureOf } from "../../contract/failure-of.ts";
import { scratchDirectory } from "../../harness/scratch.ts";

const directory = scratchDirectory();
const base = { exchange: "simulated", history: `sqlite:${join(directory, "runner.db")}` };

test("Runner.backtest() takes times as text, numbers and dates, and settings by name", async () => {
  const report = await Runner.backtest(BinanceHistory, {
    ...base,
    symbols: "SOLUSDT",
    interval: "5m",
    startTime: new Date("2025-01-01T00:00:00Z"),
    endTime: 1_735_700_400,
  });
  expect(report).toMatchObject({ strategy: "BinanceHistory", simulated: true, threads: 1 });
  expect(report.streams.map(({ key, interval, rows }) => [key, interval, rows])).toEqual([
    ["SOLUSDT", "5m", 36],
  ]);
});

test("what neither settings nor the strategy's defaults name is asked for", async () => {
  expect(await failureOf(Runner.backtest(BinanceHistory, base))).toMatchObject({
    code: "CONFIG_INVALID",
    message: "Cannot use the settings: symbols is not given, wanted --symbols A,B",
  });
  const symbols = ["BTCUSDT"];
  const bare = Runner.backtest(BinanceHistory, { ...base, defaults: { symbols } });
  expect(await failureOf(bare)).toMatchObject({ code: "CONFIG_INVALID" });
  const report = await Runner.backtest(BinanceHistory, {
    ...base,
    defaults: { symbols, interval: 3_600, days: 2 },
  });
  expect(report.streams.map(({ interval, rows }) => [interval, rows])).toEqual([["1h", 48]]);
});

test("a setting that is not known is refused before anything is written", async () => {
  const wrong = Runner.backtest(BinanceHistory, { ...base, colour: "red" } as never);
  expect(await failureOf(wrong)).toMatchObject({ code: "CONFIG_INVALID" });
});

test("Runner.main() does nothing where the file was imported", async () => {
  const before = process.exitCode;
  await Runner.main({ main: false, url: import.meta.url }, BinanceHistory);
  expect(process.exitCode).toBe(before);
});

test("two runs side by side in one process do not meet", async () => {
  const run = async (symbol: string) =>
    await Runner.backtest(BinanceHistory, {
      exchange: "simulated",
      history: `sqlite:${join(directory, `${symbol}.db`)}`,
      symbols: [symbol],
      interval: "1m",
      startTime: "2025-01-01",
      endTime: "2025-01-02",
    });
  const [alone, ...both] = [
    await run("AAAUSDT"),
    ...(await Promise.all([run("BBBUSDT"), run("CCCUSDT")])),
  ];
  expect(both.map(({ streams }) => streams.map(({ key, rows }) => [key, rows]))).toEqual([
    [["BBBUSDT", 1_440]],
    [["CCCUSDT", 1_440]],
  ]);
  expect(alone?.nodes.map(({ definitionId }) => definitionId)).toEqual(
    both[0]?.nodes.map(({ definitionId }) => definitionId) ?? [],
  );
});
