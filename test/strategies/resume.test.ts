/**
 * Goal: a backtest that was killed goes on from its checkpoint and ends as if nothing had been.
 * Method: `kill -9` after a random time of a replay that has made a checkpoint, then the same
 * command again; store (rows and coverage, by bits) and report are compared with those of a run
 * that was left alone. A kill that came too late is void, and the round is made again.
 */
import { Database } from "bun:sqlite";
import { beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { binanceHistory, repository } from "../harness/child-run.ts";
import {
  fillBars,
  type ReplayOutcome,
  ReplayRuns,
  replayBars,
  resumedBars,
} from "../harness/interrupted-replay.ts";
import { chanceOf, killRounds, killSeed } from "../harness/kill-rounds.ts";
import { scratchDirectory } from "../harness/scratch.ts";

setDefaultTimeout(60_000 + killRounds * 20_000);
const directory = scratchDirectory();
const bars = join(directory, "bars.db");
const momentum = join(repository, "strategies/momentum.ts");
const chance = chanceOf(killSeed);

beforeAll(async () => {
  console.log(`resume.test.ts: seed ${killSeed}`);
  await fillBars(bars);
});

/** Tasks in a state file that have a checkpoint, by name. */
function checkpointed(path: string): readonly string[] {
  if (!existsSync(path)) return [];
  try {
    using database = new Database(path, { readonly: true });
    const rows = database.query("SELECT name FROM task WHERE commit_number > 0").values();
    return rows.map(([name]) => String(name));
  } catch {
    // It is just being made.
    return [];
  }
}

for (const [title, file, threads] of [
  ["binance_history on one thread", binanceHistory, 1],
  ["binance_history on two threads", binanceHistory, 2],
  ["momentum, with its join", momentum, 1],
] as const) {
  describe(title, () => {
    const replay = { file, threads, bars, directory };
    const slug = title.replaceAll(/\W+/g, "-");
    let alone: ReplayOutcome;

    beforeAll(async () => {
      alone = await new ReplayRuns(replay, `${slug}-alone`, "memory:").finish();
    });

    test(`killed ${killRounds} times, it resumes and ends with equal rows and report`, async () => {
      for (let round = 0, tries = 0; round < killRounds; tries += 1) {
        expect(tries).toBeLessThan(killRounds + 20);
        const state = join(directory, `${slug}-${tries}.state`);
        const runs = new ReplayRuns(replay, `${slug}-${tries}`, `sqlite:${state}`);
        const pauseMs = chance() * 100;
        if (!(await runs.kill(() => checkpointed(state).length > 0, pauseMs))) continue;
        if (checkpointed(state).length === 0) continue;
        round += 1;
        const resumed = await runs.finish();
        expect(resumedBars(resumed.stderr)).toBeGreaterThan(0);
        expect(resumedBars(resumed.stderr)).toBeLessThanOrEqual(replayBars);
        expect(resumed.nodes).toEqual(alone.nodes);
        expect(resumed.contents).toEqual(alone.contents);
        // Nothing is left to go on from.
        expect(checkpointed(state)).toEqual([]);
      }
    });
  });
}

describe("a checkpoint is not gone on from", () => {
  const replay = { file: binanceHistory, threads: 1, bars, directory };

  /** A replay that was killed after its checkpoint. */
  async function killed(name: string): Promise<{ runs: ReplayRuns; state: string }> {
    for (let tries = 0; tries < 10; tries += 1) {
      const state = join(directory, `${name}-${tries}.state`);
      const runs = new ReplayRuns(replay, `${name}-${tries}`, `sqlite:${state}`);
      await runs.kill(() => checkpointed(state).length > 0, 0);
      if (checkpointed(state).length > 0) return { runs, state };
    }
    throw new Error("Cannot kill a replay in mid-flight: ten came to their end before");
  }

  test("over another store, where the outputs before it are not", async () => {
    const { state } = await killed("one-store");
    const other = await new ReplayRuns(replay, "other-store", `sqlite:${state}`).finish();
    const alone = await new ReplayRuns(replay, "other-alone", "memory:").finish();
    expect(resumedBars(other.stderr)).toBe(0);
    expect(other.contents).toEqual(alone.contents);
    expect(other.nodes).toEqual(alone.nodes);
  });

  test("after --refetch, since the bars may be others", async () => {
    const { runs } = await killed("refetched");
    const again = await runs.finish(runs.begin("--refetch"));
    expect(resumedBars(again.stderr)).toBe(0);
    const alone = await new ReplayRuns(replay, "refetched-alone", "memory:").finish();
    expect(again.nodes).toEqual(alone.nodes);
    expect(again.contents).toEqual(alone.contents);
  });
});
