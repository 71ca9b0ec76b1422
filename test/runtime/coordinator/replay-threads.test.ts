/**
 * Goal: what a replay's threads fail with reaches the user by name, and nothing is left running.
 * Method: whole backtests on two threads, with strategies that go wrong.
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { isMainThread } from "node:worker_threads";
import { QmtlError, type StrategyClass } from "../../../runtime/index.ts";
import { BinanceHistory } from "../../../strategies/binance_history.ts";
import { failureOf } from "../../contract/failure-of.ts";
import { runBacktest } from "../../harness/backtest-run.ts";
import { binanceHistory } from "../../harness/child-run.ts";
import { scratchDirectory } from "../../harness/scratch.ts";
import { readStore } from "../../harness/stored-rows.ts";
import { Throws } from "./fixtures/fails.ts";
import { Unstable } from "./fixtures/unstable.ts";

setDefaultTimeout(30_000);
const directory = scratchDirectory();
const fixture = (name: string) => new URL(`./fixtures/${name}.ts`, import.meta.url).href;

/** The named error that `promise` rejects with. */
async function refusalOf(promise: Promise<unknown>): Promise<QmtlError> {
  const error = await failureOf(promise);
  if (error instanceof QmtlError) return error;
  throw error;
}

let runs = 0;
async function run(strategy: StrategyClass, module: string, more: object = {}) {
  runs += 1;
  const path = join(directory, `${runs}.db`);
  const result = runBacktest({
    strategy,
    module,
    symbols: ["BTCUSDT", "ETHUSDT"],
    settings: {
      start: "2025-01-01",
      end: "2025-01-01T06:00",
      exchange: "simulated",
      history: `sqlite:${path}`,
      threads: 2,
    },
    ...more,
  });
  return { result, path: `${path}.simulated` };
}

test("a setup() that differs in a worker is SETUP_NOT_DETERMINISTIC, and says how to mend it", async () => {
  expect(isMainThread).toBe(true);
  const { result } = await run(Unstable, fixture("unstable"));
  const error = await refusalOf(result);
  expect(error.code).toBe("SETUP_NOT_DETERMINISTIC");
  expect(error.message).toMatch(/"Unstable" in a worker: .* make it depend on flags alone/);
});

test("a compute that throws in a worker is COMPUTE_FAILED with node, key and time", async () => {
  const { result } = await run(Throws, fixture("fails"));
  const error = await refusalOf(result);
  expect(error.code).toBe("COMPUTE_FAILED");
  for (const part of ["careless", "ETHUSDT", "2025-01-01T01:00:00.000Z", "out of luck"]) {
    expect(error.message).toContain(part);
  }
});

test("a class that its module does not export is STRATEGY_INVALID", async () => {
  const { result } = await run(BinanceHistory, fixture("fails"));
  const error = await refusalOf(result);
  expect([error.code, error.message]).toEqual([
    "STRATEGY_INVALID",
    expect.stringContaining('wanted "export class BinanceHistory"'),
  ]);
});

test("a run that is aborted in mid-replay ends its threads with the reason it was given", async () => {
  const stop = new AbortController();
  const { result } = await run(BinanceHistory, Bun.pathToFileURL(binanceHistory).href, {
    signal: stop.signal,
    onProgress: ({ kind }: { kind: string }) => {
      if (kind === "replay") stop.abort(new Error("enough"));
    },
  });
  expect(await failureOf(result)).toEqual(new Error("enough"));
});

test("more threads than symbols are not started; outputs are stored by the one writer", async () => {
  const { result, path } = await run(BinanceHistory, Bun.pathToFileURL(binanceHistory).href, {
    settings: {
      start: "2025-01-01",
      end: "2025-01-01T06:00",
      exchange: "simulated",
      history: `sqlite:${join(directory, "many.db")}`,
      threads: 16,
    },
  });
  const { report } = await result;
  expect(report.threads).toBe(2);
  expect(path).toContain("simulated");
  const stored = await readStore(join(directory, "many.db.simulated"));
  for (const { nodeId, outputs } of report.nodes) {
    expect(stored.get(nodeId)?.rows.length).toBe(outputs);
  }
});
