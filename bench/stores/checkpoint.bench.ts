/**
 * What checkpoints cost a thread that is busy: 8 partitions of 64 keys, one z-score of 60 each, all
 * of them saved every 250 ms at full rate, so that each time all windows are new.
 * Measures: the same records with and without checkpoints in turn, ns a record of the best of 5
 * turns; `of limit` is what is left of the speed without. The notes say which share of the time of
 * all turns went into checkpoints, which is the steadier figure on a machine that others use too.
 * Does not measure: fetch, decode, outputs on their way, a server (see redis commit). The baseline
 * saves the same windows as they are mostly kept and saved: rows as objects, `v8.serialize`.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { serialize } from "node:v8";
import { openState as openMemory } from "../../connectors/memory/index.ts";
import { openState as openSqlite } from "../../connectors/sqlite/index.ts";
import { StreamInput, zscore } from "../../nodes/index.ts";
import { type StateStore } from "../../runtime/index.ts";
import { TaskCheckpoint } from "../../runtime/worker/checkpoint/task-checkpoint.ts";
import { TaskFeed } from "../compute/task-feed.ts";
import { type Measured, medianOf, type Role, type Suite } from "../harness.ts";
import {
  bars,
  keyCount,
  keys,
  makeMarket,
  signalAbove,
  signalsOf,
  windowLength,
} from "../market.ts";

const partitionCount = 8;
const everyMs = 250;
/** What is asked: at most this share of the time, percent. */
const shareTarget = 5;
const plan = "bench";

/** How to measure checkpoints; a test takes less of everything. */
export interface CheckpointOptions {
  /** Records between two looks at the clock, a partition. */
  readonly lapRows: number;
  /** Time between two checkpoints, ms. */
  readonly everyMs: number;
  /** Time of one way in one round, ms. */
  readonly turnMs: number;
  /** Rounds that count; one before them warms up. */
  readonly rounds: number;
}

/** The share of a thread's time that checkpoints take. */
export const checkpoint: Suite = {
  name: "checkpoint",
  needsServers: false,
  measure: async ({ timeMs }, signal) => {
    // Whole periods, so that each turn of a way has as many checkpoints.
    const turnMs = everyMs * Math.max(2, Math.round(timeMs / everyMs));
    const options = { lapRows: 6_400, everyMs, turnMs, rounds: 5 };
    return await measureCheckpoints(options, signal);
  },
};

/** Runs all ways in turn. @throws Error if one lost signals or did not store its last position. */
export async function measureCheckpoints(
  options: CheckpointOptions,
  signal: AbortSignal,
): Promise<readonly Measured[]> {
  const directory = mkdtempSync(join(tmpdir(), "qmtl-bench-"));
  const memory = await openMemory("memory:", signal);
  const sqlite = await openSqlite(`sqlite:${join(directory, "state.db")}`, signal);
  try {
    const partitions = new Partitions(options.lapRows);
    const ways = [
      new Way("checkpoints to memory", "ours", await savingTo(memory, partitions, signal)),
      new Way("checkpoints to sqlite", "ours", await savingTo(sqlite, partitions, signal)),
      new Way("checkpoints copied only", "ours", copying(memory, partitions)),
      new Way("windows of objects, v8.serialize", "baseline", serializing(partitions)),
      new Way("no checkpoints", "limit", async () => 0),
    ];
    for (let round = 0; round <= options.rounds; round += 1) {
      for (const way of ways) {
        await way.turn(partitions, options);
        signal.throwIfAborted();
      }
      if (round === 0) for (const way of ways) way.forget();
    }
    for (const store of [memory, sqlite]) await checkPositions(store, partitions, signal);
    return ways.map((way) => way.measured());
  } finally {
    await sqlite.close();
    await memory.close();
    rmSync(directory, { recursive: true });
  }
}

/** 8 tasks on one market each, all in this thread. */
class Partitions {
  readonly feeds: readonly TaskFeed[];
  readonly rows: number;
  /** Laps of all partitions; the position of a checkpoint. */
  laps = 0;
  /** Laps at the last checkpoint of each store. */
  readonly saved = new Map<StateStore, number>();
  readonly #signalsPerLap: number;
  #signals = 0;

  constructor(lapRows: number) {
    const market = makeMarket(lapRows);
    const input = new StreamInput({
      symbols: keys,
      interval: "1m",
      period: windowLength,
      schema: bars,
    });
    const node = zscore(input, "close", { length: windowLength });
    this.feeds = Array.from({ length: partitionCount }, () => {
      return new TaskFeed([node], market, ({ schema }, { columns: [values], count }) => {
        if (!("z" in schema)) return;
        for (let i = 0; i < count; i += 1) {
          if (Math.abs(values![i]!) > signalAbove) this.#signals += 1;
        }
      });
    });
    this.rows = market.batch.count * partitionCount;
    this.#signalsPerLap = signalsOf(market) * partitionCount;
  }

  /** @throws Error if the signals are not those of the market. */
  lap(): void {
    this.#signals = 0;
    for (const feed of this.feeds) feed.lap(() => undefined);
    this.laps += 1;
    if (this.#signals === this.#signalsPerLap) return;
    throw new Error(`Found ${this.#signals} signals in a lap, wanted ${this.#signalsPerLap}`);
  }
}

/** Saves all partitions; how many bytes that came to. */
type Save = () => Promise<number>;

/** One way to save, with its own clock: it runs on while the other ways have their turns. */
class Way {
  readonly #name: string;
  readonly #role: Role;
  readonly #save: Save;
  readonly #nsPerRecord: number[] = [];
  #sinceMs = 0;
  #wallMs = 0;
  readonly #savesMs: number[] = [];
  #bytes = 0;

  constructor(name: string, role: Role, save: Save) {
    this.#name = name;
    this.#role = role;
    this.#save = save;
  }

  async turn(partitions: Partitions, options: CheckpointOptions): Promise<void> {
    const began = performance.now();
    let laps = 0;
    let now = began;
    while (laps === 0 || now - began < options.turnMs) {
      partitions.lap();
      laps += 1;
      const lapped = performance.now();
      this.#sinceMs += lapped - now;
      now = lapped;
      if (this.#sinceMs < options.everyMs) continue;
      // From one to the next it is `everyMs`, with the time that saving takes.
      this.#bytes = await this.#save();
      now = performance.now();
      this.#sinceMs = now - lapped;
      this.#savesMs.push(now - lapped);
    }
    this.#wallMs += now - began;
    this.#nsPerRecord.push(((now - began) * 1e6) / (laps * partitions.rows));
  }

  forget(): void {
    this.#nsPerRecord.length = 0;
    this.#wallMs = 0;
    this.#savesMs.length = 0;
  }

  measured(): Measured {
    const [name, role] = [this.#name, this.#role];
    const nsPerRecord = Math.min(...this.#nsPerRecord);
    const saves = this.#savesMs;
    if (saves.length === 0 || role === "limit") return { name, role, nsPerRecord };
    const share = ((100 * saves.reduce((sum, ms) => sum + ms, 0)) / this.#wallMs).toFixed(1);
    const megabytes = (this.#bytes / 1e6).toFixed(1);
    const asked = role === "ours" ? ` (asked ≤ ${shareTarget} %)` : "";
    const note = `${share} % of the time${asked}: ${saves.length} × ${medianOf(saves).toFixed(1)} ms, ${megabytes} MB`;
    return { name, role, nsPerRecord, note };
  }
}

/** Copies and commits, as a live thread does for its partitions. */
async function savingTo(
  store: StateStore,
  partitions: Partitions,
  signal: AbortSignal,
): Promise<Save> {
  const all = checkpointsOf(store, partitions);
  for (const one of all) await one.restore(signal);
  return async () => {
    let bytes = 0;
    const position = { offsets: { bars: partitions.laps }, ends: {} };
    const commits = all.map(async (one) => {
      const snapshot = one.snapshot();
      bytes += snapshot.base.reduce((sum, piece) => sum + piece.length, snapshot.delta.length);
      await one.commit(snapshot, position, signal);
    });
    await Promise.all(commits);
    partitions.saved.set(store, partitions.laps);
    return bytes;
  };
}

function copying(store: StateStore, partitions: Partitions): Save {
  const all = checkpointsOf(store, partitions);
  return async () => {
    let bytes = 0;
    for (const one of all) {
      const { base, delta } = one.snapshot();
      bytes += base.reduce((sum, piece) => sum + piece.length, delta.length);
    }
    return await Promise.resolve(bytes);
  };
}

/** Rows as objects are made here, which those who keep them so have done before: not counted. */
function serializing({ feeds }: Partitions): Save {
  const names = ["ts", ...Object.keys(bars)];
  const windows = feeds.map(() => {
    return Array.from({ length: keyCount }, (_, key) => {
      return Array.from({ length: windowLength }, (__, row) => {
        return Object.fromEntries(names.map((name, column) => [name, key + row + column / 64]));
      });
    });
  });
  return async () => {
    const bytes = windows.reduce((sum, window) => sum + serialize(window).length, 0);
    return await Promise.resolve(bytes);
  };
}

function checkpointsOf(store: StateStore, { feeds }: Partitions): readonly TaskCheckpoint[] {
  return feeds.map((feed, i) => new TaskCheckpoint(`bench/0/${i}`, store, feed.parts(), plan));
}

async function checkPositions(
  store: StateStore,
  partitions: Partitions,
  signal: AbortSignal,
): Promise<void> {
  const wanted = partitions.saved.get(store);
  if (wanted === undefined) return;
  for (let i = 0; i < partitionCount; i += 1) {
    const reader = new TaskCheckpoint(
      `bench/0/${i}`,
      store,
      new Partitions(1).feeds[0]!.parts(),
      plan,
    );
    const found = (await reader.restore(signal))?.offsets["bars"];
    if (found !== wanted) throw new Error(`Restored lap ${found}, wanted ${wanted}`);
  }
}
