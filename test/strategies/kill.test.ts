/**
 * Goal: `kill -9` of the whole job at any point of a backfill loses nothing that was stored and
 * doubles nothing. Method: the program is killed after a random number of answered pages, run again
 * over the same store, several times; the simulator's log says what each run asked for, the store
 * is compared with that of a run that was left alone. The seed is printed; QMTL_SEED repeats it.
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { BinanceHistory } from "../../strategies/binance_history.ts";
import { runBacktest } from "../harness/backtest-run.ts";
import { binanceHistory, spawnBun } from "../harness/child-run.ts";
import { parseReport } from "../harness/json-report.ts";
import { scratchDirectory } from "../harness/scratch.ts";
import { exchangeAt, servedExchange } from "../harness/served-exchange.ts";
import { bitsOf, readStore } from "../harness/stored-rows.ts";

setDefaultTimeout(60_000);
const directory = scratchDirectory();
const minute = 60_000;
const pages = 36;
const start = Date.UTC(2024, 0, 1);
const end = start + pages * 1_000 * minute;
const kills = 5;

/** Numbers in [0, 1) from a seed (an LCG: spread is all that is needed). */
function chanceOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

test("kill -9 at random points of a backfill: the same rows, nothing stored is asked for again", async () => {
  const seed = Number(process.env["QMTL_SEED"] ?? Date.now() % 1_000_000);
  console.log(`kill.test.ts: seed ${seed}`);
  const chance = chanceOf(seed);
  await using simulator = await servedExchange({
    source: { kind: "generated", seed: 21 },
    serverTimeMs: end + minute,
  });
  const path = join(directory, "killed.db");
  const range = ["--start", String(start), "--end", String(end), "--json", "--no-progress"];
  const store = ["--history", `sqlite:${path}`];
  const args = [binanceHistory, "--symbols", "BTCUSDT", ...store, ...range];
  const askedBy: number[][] = [];
  const storedAfter: number[] = [];
  let last = "";
  for (let run = 0; run <= kills; run += 1) {
    const before = simulator.requests.length;
    const askedNow = () =>
      simulator.requests
        .slice(before)
        .filter((request) => request.path.endsWith("/klines"))
        .map(({ query }) => Number(query["startTime"]));
    const child = spawnBun(args, { cwd: directory, env: { QMTL_BINANCE_URL: simulator.url } });
    if (run === kills) {
      last = await new Response(child.stdout).text();
      expect(await child.exited).toBe(0);
    } else {
      const pagesNow = Math.floor(chance() * (pages / kills));
      const pauseMs = chance() * 3;
      while (askedNow().length < pagesNow && child.exitCode === null) await Bun.sleep(1);
      await Bun.sleep(pauseMs);
      child.kill("SIGKILL");
      await child.exited;
    }
    askedBy.push(askedNow());
    storedAfter.push(await storedEnd(path));
  }
  for (const [run, asked] of askedBy.entries()) {
    const known = run === 0 ? start : storedAfter[run - 1]!;
    // Pages come one after the other, from what was stored on: none is asked for twice.
    expect(asked).toEqual(asked.map((_, i) => known + i * 1_000 * minute));
  }
  expect(storedAfter.at(-1)).toBe(end);
  expect(parseReport(last).streams[0]).toMatchObject({ rows: pages * 1_000, missing: [] });

  const whole = join(directory, "whole.db");
  await runBacktest({
    strategy: BinanceHistory,
    symbols: ["BTCUSDT"],
    settings: { start, end, history: `sqlite:${whole}` },
    connectors: exchangeAt(simulator.url),
  });
  const [own, wanted] = [await readStore(path), await readStore(whole)];
  expect([...own.keys()].toSorted()).toEqual([...wanted.keys()].toSorted());
  for (const [id, { rows }] of wanted) expect(bitsOf(own.get(id)!.rows)).toBe(bitsOf(rows));
});

/** Where the stored bars end; the rows of a killed run are whole pages. */
async function storedEnd(path: string): Promise<number> {
  // Killed before the store was set up: there is nothing in it.
  const all = await readStore(path).catch(() => undefined);
  for (const { series, rows } of all?.values() ?? []) {
    if (series.interval !== "1m" || !("takerBuyQuote" in series.schema)) continue;
    expect(rows.length % 1_000).toBe(0);
    return start + rows.length * minute;
  }
  return start;
}
