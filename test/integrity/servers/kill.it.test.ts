/**
 * Goal: `kill -9` of QuestDB or of Redis in mid-write of the main job costs nothing but time: the
 * job goes on by itself, what was acknowledged is there, nothing is there twice. Method: a private
 * server is killed at a random point of a run and started again on the same data; the store is
 * compared, by bits, with that of a run on embedded stores. The run must have been under way on
 * both sides of the kill, else the round is void. QMTL_SEED repeats a run's chance.
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { RedisClient } from "bun";
import { startQuestdb, startRedis } from "../../../runtime/cli/servers/index.ts";
import { binanceHistory } from "../../harness/child-run.ts";
import { fillBars, ReplayRuns } from "../../harness/interrupted-replay.ts";
import { chanceOf, killRounds, killSeed, untilTrue } from "../../harness/kill-rounds.ts";
import {
  beginMainJob,
  contentsAt,
  endOfMainJob,
  pagesAsked,
  rowsInQuestdb,
} from "../../harness/main-job.ts";
import { scratchDirectory } from "../../harness/scratch.ts";
import { servedExchange } from "../../harness/served-exchange.ts";
import { describeNeeding, firstStartMsMax } from "../../harness/servers.ts";

setDefaultTimeout(firstStartMsMax + killRounds * 60_000);
const directory = scratchDirectory();
const minute = 60_000;
const pages = 8;
const start = Date.UTC(2025, 2, 1);
const end = start + pages * 1_000 * minute;
const roundsVoidMax = 20;

describeNeeding(["questdb"], "QuestDB killed in mid-write of the main job", () => {
  test(`${killRounds} times: the job goes on by itself, nothing is lost or doubled`, async () => {
    console.log(`kill -9 of QuestDB under the main job: seed ${killSeed}`);
    const chance = chanceOf(killSeed);
    await using simulator = await servedExchange({
      source: { kind: "generated", seed: 9 },
      serverTimeMs: end + minute,
      weightPerMinute: 1_000_000,
    });
    await using server = await startQuestdb();
    const job = { exchangeUrl: simulator.url, start, end, directory };
    const embedded = `sqlite:${join(directory, "embedded.db")}`;
    const alone = await endOfMainJob(beginMainJob({ ...job, history: embedded }));
    const wanted = await contentsAt(embedded);
    const rowsWanted = Object.values(wanted).reduce((sum, series) => sum + series.rows, 0);
    for (let round = 0, tries = 0; round < killRounds; tries += 1) {
      expect(tries).toBeLessThan(killRounds + roundsVoidMax);
      const prefix = `round${tries}`;
      const history = `${server.url}?prefix=${prefix}`;
      const before = simulator.requests.length;
      const askedNow = () =>
        ["BTCUSDT", "ETHUSDT"].map((symbol) => pagesAsked(simulator, symbol, before));
      const child = beginMainJob({ ...job, history });
      // In most rounds among the pages, in some among the outputs.
      const atPages = 1 + Math.floor(chance() * 2 * pages);
      const isOver = () => child.exitCode !== null;
      await untilTrue(() => askedNow().flat().length >= atPages, isOver);
      await Bun.sleep(chance() * 40);
      await server.kill9();
      const isUnderWay = child.exitCode === null;
      await server.restart();
      const { report, stderr } = await endOfMainJob(child);
      expect(stderr).toBe("");
      expect(report.nodes).toEqual(alone.report.nodes);
      expect(await contentsAt(history)).toEqual(wanted);
      expect(await rowsInQuestdb(server.port, prefix)).toBe(rowsWanted);
      // The job never stopped: each page was asked for once.
      for (const asked of askedNow()) expect(asked).toHaveLength(pages);
      if (isUnderWay) round += 1;
    }
  });
});

describeNeeding(["redis"], "Redis killed in mid-write of the main job", () => {
  test(`${killRounds} times: the replay goes on by itself and ends with equal rows`, async () => {
    console.log(`kill -9 of Redis under the main job: seed ${killSeed}`);
    const chance = chanceOf(killSeed + 1);
    const bars = join(directory, "bars.db");
    await fillBars(bars);
    await using server = await startRedis({ appendFsync: "always" });
    const replay = { file: binanceHistory, threads: 2, bars, directory };
    const alone = await new ReplayRuns(replay, "alone", "memory:").finish();
    const commits = async (): Promise<readonly number[]> => {
      const redis = new RedisClient(server.url);
      const keys = [0, 1].map((share) => `qmtl:ckpt:{BinanceHistory-backtest/0/${share}}:meta`);
      const all = await Promise.all(keys.map(async (key) => await redis.hget(key, "commit")));
      redis.close();
      return all.map(Number);
    };
    for (let round = 0, tries = 0; round < killRounds; tries += 1) {
      expect(tries).toBeLessThan(killRounds + roundsVoidMax);
      const runs = new ReplayRuns(replay, `redis-${tries}`, server.url);
      const child = runs.begin();
      const ended = runs.finish(child);
      const hasCommits = async () => (await commits()).some((number) => number > 0);
      await untilTrue(hasCommits, () => child.exitCode !== null);
      await Bun.sleep(chance() * 100);
      await server.kill9();
      const isAlive = child.exitCode === null;
      await server.restart();
      // What was acknowledged is there again; the run had commits to make, or to drop.
      const isUnderWay = isAlive && (await hasCommits());
      const { nodes, contents } = await ended;
      expect(nodes).toEqual(alone.nodes);
      expect(contents).toEqual(alone.contents);
      expect(await commits()).toEqual([0, 0]);
      if (isUnderWay) round += 1;
    }
  });
});
