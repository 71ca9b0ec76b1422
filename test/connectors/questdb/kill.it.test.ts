import { expect, test } from "bun:test";
import { openHistory } from "../../../connectors/questdb/index.ts";
import { type QuestdbServer, startQuestdb } from "../../../runtime/cli/servers/index.ts";
import { type HistoryStore, type Series } from "../../../runtime/index.ts";
import { killRounds } from "../../harness/kill-rounds.ts";
import { describeWithServers } from "../../harness/servers.ts";
import { bars, barsIn, barsOf, newSeries, numbers, signal } from "./klines.ts";

const rounds = Number(process.env["QMTL_KILL_ROUNDS"] ?? killRounds);
const seed = Number(process.env["QMTL_SEED"] ?? Date.now() % 1_000_000);
const pageRows = 200;
const writers = 3;

/** Numbers in [0, 1) that `seed` fixes (mulberry32). */
function chanceOf(start: number): () => number {
  let state = start;
  return () => {
    state = (state + 0x6d2b_79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

interface Writer {
  readonly series: Series;
  /** Bars of pages whose `persist` resolved. */
  acknowledged: number;
}

/** Writes page after page until told to stop. */
async function keepWriting(
  store: HistoryStore,
  writer: Writer,
  state: { isOver: boolean },
): Promise<void> {
  while (!state.isOver) {
    const from = writer.acknowledged;
    const to = from + pageRows;
    const page = { rows: barsOf(from, to), have: [bars(from, to)], empty: [] };
    await store.persist(writer.series, page, signal());
    writer.acknowledged = to;
  }
}

async function untilWritten(all: readonly Writer[], pages: number): Promise<void> {
  const goals = all.map((writer) => writer.acknowledged + pages * pageRows);
  while (all.some((writer, i) => writer.acknowledged < goals[i]!)) await Bun.sleep(1);
}

async function killAndRestart(server: QuestdbServer): Promise<void> {
  await server.kill9();
  await server.restart();
}

// Goal: nothing acknowledged is lost, nothing is doubled, and writers go on by themselves.
// Method: kill -9 at a random moment while several series are being written, restart, compare.
describeWithServers(["questdb"], "QuestDB killed in mid-write", () => {
  const limitMs = 30_000 * rounds;
  test(
    `${rounds} times loses and doubles nothing (seed ${seed})`,
    async () => {
      console.log(`kill -9 of QuestDB: ${rounds} rounds, QMTL_SEED=${seed}`);
      const chance = chanceOf(seed);
      await using server = await startQuestdb();
      const store = await openHistory(server.url, { mode: "write", isSimulated: false }, signal());
      const all = Array.from(
        { length: writers },
        (_, i): Writer => ({ series: newSeries({ key: `KEY${i}` }), acknowledged: 0 }),
      );
      const state = { isOver: false };
      const writing = Promise.all(all.map(async (one) => await keepWriting(store, one, state)));
      writing.catch(() => undefined);
      for (let round = 0; round < rounds; round += 1) {
        await Promise.race([writing, untilWritten(all, 2 + Math.floor(chance() * 10))]);
        await Bun.sleep(chance() * 20);
        const before = all.map(({ acknowledged }) => acknowledged);
        await killAndRestart(server);
        for (const [i, { series }] of all.entries()) {
          const found = await barsIn(store, series);
          expect(found.slice(0, before[i])).toEqual([...numbers(0, before[i]!)]);
          expect(found).toEqual([...numbers(0, found.length)]);
        }
      }
      await Promise.race([writing, untilWritten(all, 2)]);
      state.isOver = true;
      await writing;
      for (const { series, acknowledged } of all) {
        expect(await barsIn(store, series)).toEqual(numbers(0, acknowledged));
        const { have } = await store.coverage(series, signal());
        expect(have).toEqual([bars(0, acknowledged)]);
      }
      await store.close();
    },
    limitMs,
  );
});
