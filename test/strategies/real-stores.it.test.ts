/**
 * Goal: on QuestDB and Redis the main job comes to what it comes to on its embedded stores. Method:
 * the same run over the same bars on both; stores (rows and coverage, by bits) and reports compared.
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { RedisClient } from "bun";
import { type ExchangeSimulator } from "../../connectors/simulated/index.ts";
import { binanceHistory, repository } from "../harness/child-run.ts";
import { fillBars, ReplayRuns, replayBars, resumedBars } from "../harness/interrupted-replay.ts";
import { chanceOf, killRounds, killSeed } from "../harness/kill-rounds.ts";
import {
  beginMainJob,
  contentsAt,
  endOfMainJob,
  type MainJob,
  pagesAsked,
  rowsInQuestdb,
} from "../harness/main-job.ts";
import { recordedData, recordedPath } from "../harness/recorded-data.ts";
import { scratchDirectory } from "../harness/scratch.ts";
import { servedExchange } from "../harness/served-exchange.ts";
import { describeWithServers, uniqueName } from "../harness/servers.ts";

setDefaultTimeout(60_000 + killRounds * 20_000);
const minute = 60_000;
const directory = scratchDirectory();
const chance = chanceOf(killSeed);

/** A market of which every run asks the same range. */
interface Market {
  readonly name: string;
  readonly start: number;
  readonly end: number;
  readonly serve: () => Promise<ExchangeSimulator & AsyncDisposable>;
}

const generatedStart = Date.UTC(2025, 2, 1);
const generated: Market = {
  name: "generated bars",
  start: generatedStart,
  end: generatedStart + 5_500 * minute,
  serve: async () =>
    await servedExchange({
      source: { kind: "generated", seed: 7 },
      serverTimeMs: generatedStart + 6_000 * minute,
    }),
};
const recorded: Market = {
  name: "recorded bars",
  start: Date.UTC(2025, 8, 22, 12),
  end: Date.UTC(2025, 8, 25),
  serve: async () =>
    await servedExchange({ source: { kind: "recorded", directory: recordedPath("klines") } }),
};
const markets = recordedData === undefined ? [generated] : [generated, recorded];

describeWithServers(["questdb", "redis"], "the main job on real stores", (started) => {
  const ownHistory = () => {
    const prefix = uniqueName("job").toLowerCase();
    return { prefix, url: `${started().questdb.url}?prefix=${prefix}` };
  };

  for (const { name, serve, start, end } of markets) {
    test(`${name}: on QuestDB and Redis it stores and reports what it does embedded`, async () => {
      await using simulator = await serve();
      const { prefix, url } = ownHistory();
      const job = { exchangeUrl: simulator.url, start, end, directory };
      const embedded = `sqlite:${join(directory, `${uniqueName("embedded")}.db`)}`;
      const one = await endOfMainJob(beginMainJob({ ...job, history: embedded }));
      const state = started().redis.url;
      const other = await endOfMainJob(beginMainJob({ ...job, history: url, state }));
      expect(other.report.nodes).toEqual(one.report.nodes);
      expect(other.report.streams).toEqual(one.report.streams);
      expect(other.report.history).toBe(url);
      const [stored, wanted] = [await contentsAt(url), await contentsAt(embedded)];
      expect(Object.keys(wanted)).toHaveLength(8);
      expect(stored).toEqual(wanted);
      const rows = Object.values(wanted).reduce((sum, series) => sum + series.rows, 0);
      expect(await rowsInQuestdb(started().questdb.port, prefix)).toBe(rows);
      // A second run asks for nothing, on two threads too, and gives the same.
      const asked = simulator.requests.length;
      const more = ["--threads", "2"];
      const again = await endOfMainJob(beginMainJob({ ...job, history: url, state, more }));
      expect(simulator.requests.length).toBe(asked);
      expect(again.report.nodes).toEqual(one.report.nodes);
      expect(await contentsAt(url)).toEqual(wanted);
    });
  }

  test("rows of --exchange simulated lie in tables with the suffix _simulated, and only there", async () => {
    const { prefix, url } = ownHistory();
    const [start, end] = [generated.start, generated.start + 300 * minute];
    const more = ["--exchange", "simulated:7"];
    const job: MainJob = { history: url, start, end, directory, more };
    const { report } = await endOfMainJob(beginMainJob(job));
    expect(report).toMatchObject({ simulated: true, exchange: "simulated" });
    const { port } = started().questdb;
    const answer = await fetch(
      `http://127.0.0.1:${port}/exec?query=${encodeURIComponent(`SELECT table_name FROM tables() WHERE table_name LIKE '${prefix}%'`)}`,
    );
    const { dataset } = (await answer.json()) as { dataset: string[][] };
    expect(dataset.length).toBeGreaterThan(3);
    expect(dataset.flat().filter((table) => !table.endsWith("_simulated"))).toEqual([]);
    expect(Object.keys(await contentsAt(url, true))).toHaveLength(8);
    expect(await contentsAt(url, false)).toEqual({});
  });

  test("two jobs that write the same history at once come to the same as one", async () => {
    await using simulator = await generated.serve();
    const { prefix, url } = ownHistory();
    const embedded = `sqlite:${join(directory, "one-writer.db")}`;
    const { start, end } = generated;
    const job = { exchangeUrl: simulator.url, start, end, directory };
    const alone = await endOfMainJob(beginMainJob({ ...job, history: embedded }));
    const both = [0, 1].map(() => beginMainJob({ ...job, history: url }));
    for (const { report } of await Promise.all(both.map(endOfMainJob))) {
      expect(report.nodes).toEqual(alone.report.nodes);
    }
    const wanted = await contentsAt(embedded);
    expect(await contentsAt(url)).toEqual(wanted);
    const rows = Object.values(wanted).reduce((sum, series) => sum + series.rows, 0);
    expect(await rowsInQuestdb(started().questdb.port, prefix)).toBe(rows);
  });

  // Goal: what was stored is never asked for again. Method: the job is killed after a random number
  // of pages; coverage then says what is stored, the simulator's log what the next run asks for.
  test("after kill -9 of the job at most the page in flight is asked for again", async () => {
    console.log(`real-stores.it.test.ts: seed ${killSeed}`);
    await using simulator = await generated.serve();
    const symbol = "BTCUSDT";
    const { start, end } = generated;
    const pages = Math.ceil((end - start) / minute / 1_000);
    for (let round = 0; round < killRounds; round += 1) {
      const { url } = ownHistory();
      const job = { exchangeUrl: simulator.url, history: url, start, end, symbols: symbol };
      const before = simulator.requests.length;
      const child = beginMainJob({ ...job, directory });
      const wanted = 1 + Math.floor(chance() * (pages - 1));
      while (pagesAsked(simulator, symbol, before).length < wanted) await Bun.sleep(1);
      await Bun.sleep(chance() * 10);
      child.kill("SIGKILL");
      await child.exited;
      const asked = pagesAsked(simulator, symbol, before);
      const series = Object.values(await contentsAt(url))[0];
      const stored = series?.have[0]?.end ?? start;
      const since = simulator.requests.length;
      await endOfMainJob(beginMainJob({ ...job, directory }));
      const askedLater = pagesAsked(simulator, symbol, since);
      // From where coverage ends on, each page once.
      const left = Math.ceil((end - stored) / minute / 1_000);
      const fromStored = Array.from({ length: left }, (_, i) => stored + i * 1_000 * minute);
      expect(askedLater).toEqual(fromStored);
      // One page was being stored, and one was asked for ahead.
      const again = askedLater.filter((page) => asked.includes(page));
      expect(again.length).toBeLessThanOrEqual(2);
    }
  });

  test("replays whose checkpoints lie in Redis resume after kill -9 with equal rows and report", async () => {
    const bars = join(directory, "bars.db");
    await fillBars(bars);
    const redis = new RedisClient(started().redis.url);
    for (const [file, strategy, threads] of [
      [binanceHistory, "BinanceHistory", 2],
      [join(repository, "strategies/momentum.ts"), "Momentum", 1],
    ] as const) {
      const replay = { file, threads, bars, directory };
      const alone = await new ReplayRuns(replay, `${strategy}-alone`, "memory:").finish();
      const commits = async (): Promise<number> => {
        const key = `qmtl:ckpt:{${strategy}-backtest/0/0}:meta`;
        return Number(await redis.hget(key, "commit"));
      };
      const rounds = Math.max(2, killRounds - 1);
      for (let round = 0, tries = 0; round < rounds; tries += 1) {
        expect(tries).toBeLessThan(rounds + 20);
        const runs = new ReplayRuns(replay, `${strategy}-${tries}`, started().redis.url);
        const isKilled = await runs.kill(async () => (await commits()) > 0, chance() * 100);
        if (!isKilled || (await commits()) === 0) continue;
        round += 1;
        const resumed = await runs.finish();
        expect(resumedBars(resumed.stderr)).toBeGreaterThan(0);
        expect(resumedBars(resumed.stderr)).toBeLessThanOrEqual(replayBars);
        expect(resumed.nodes).toEqual(alone.nodes);
        expect(resumed.contents).toEqual(alone.contents);
        expect(await commits()).toBe(0);
      }
    }
    redis.close();
  });
});
