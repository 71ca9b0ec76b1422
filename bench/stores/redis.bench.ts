/**
 * Cost of a large task's checkpoints in a real Redis: windows of 10,000 keys, 120 rows of 6 columns.
 * Measures: a commit of one new row per key, log only, from its copied bytes to the server's OK; and
 * a restore, from the server until the windows are there. Server with its append-only file, synced
 * every second.
 * Does not measure: a network, a commit that swaps the base in (one in 65 here), the first touch of
 * new memory, which is there before the clock starts for the windows as for the bare read. Client
 * and server share the cores.
 * The baselines are the plainest calls of the client that is used: RPUSH of the same bytes, and the
 * bare read, GET after GET of the same bytes in 1 MiB pieces, each a Buffer in memory. The limits do
 * both over a bare socket: what comes is copied into one buffer as it comes, and not looked at.
 */
import { Redis } from "ioredis";
import { openState } from "../../connectors/redis/index.ts";
import { startRedis } from "../../runtime/cli/servers/index.ts";
import { type StateStore } from "../../runtime/index.ts";
import { ColumnStore } from "../../runtime/window/column-store.ts";
import { StorePart } from "../../runtime/worker/checkpoint/parts.ts";
import { TaskCheckpoint } from "../../runtime/worker/checkpoint/task-checkpoint.ts";
import { type Measured, type MeasureOptions, medianOf, type Suite } from "../harness.ts";
import { RawRedis } from "./raw-redis.ts";

const keyCount = 10_000;
const windowRows = 120;
/** Beside ts: 6 columns. */
const fieldCount = 5;
const taskName = "bench/0/0";
/** A base of 58 MB takes 65 logs of 0.9 MB before it is written anew. */
const commitsMax = 40;
const warmUps = 5;
const restores = 9;
/** As large as the replies in which a restore reads. */
const pieceBytes = 2 ** 20;
/** What is asked: at most so many times a bare RPUSH over a socket, and a bare read by the client. */
const commitTarget = 2.5;
const restoreTarget = 2;

/** A row of each key into a log. */
export const redisCommit: Suite = {
  name: "redis commit",
  needsServers: true,
  measure: async (options, signal) => await withRedis(options, signal, measureCommits),
};

/** All windows back. */
export const redisRestore: Suite = {
  name: "redis restore",
  needsServers: true,
  measure: async (options, signal) => await withRedis(options, signal, measureRestores),
};

/** A Redis with a task whose base is there, and the ways to talk to it. */
interface Subject {
  readonly state: StateStore;
  readonly plain: Redis;
  readonly raw: RawRedis;
  readonly windows: Windows;
  /** Others, to be restored. */
  readonly restored: Windows;
  readonly commits: number;
  readonly signal: AbortSignal;
}

async function withRedis(
  { timeMs }: MeasureOptions,
  signal: AbortSignal,
  measure: (subject: Subject) => Promise<readonly Measured[]>,
): Promise<readonly Measured[]> {
  await using server = await startRedis({ purpose: "work" });
  const state = await openState(server.url, signal);
  const plain = new Redis(server.url);
  const raw = new RawRedis(server.port);
  try {
    const windows = new Windows(state);
    await windows.checkpoint.restore(signal);
    for (let row = 0; row < windowRows; row += 1) windows.append();
    // The log of the first commit is all there is; so the next one is a base.
    for (let i = 0; i < 2; i += 1) {
      await windows.checkpoint.commit(windows.checkpoint.snapshot(), windows.position, signal);
    }
    const commits = Math.max(10, Math.min(commitsMax, Math.round(timeMs / 20)));
    const restored = new Windows(state);
    return await measure({ state, plain, raw, windows, restored, commits, signal });
  } finally {
    raw.close();
    plain.disconnect();
    await state.close();
  }
}

async function measureCommits(subject: Subject): Promise<readonly Measured[]> {
  const { plain, raw, windows, commits, signal } = subject;
  const { checkpoint } = windows;
  const times = { copy: [] as number[], commit: [] as number[], ioredis: [] as number[] };
  const bare: number[] = [];
  let bytes = 0;
  for (let i = 0; i < warmUps + commits; i += 1) {
    windows.append();
    const began = performance.now();
    const snapshot = checkpoint.snapshot();
    const copied = performance.now() - began;
    if (snapshot.base.length > 0) throw new Error("Measured a commit that swaps the base in");
    const delta = Buffer.from(
      snapshot.delta.buffer,
      snapshot.delta.byteOffset,
      snapshot.delta.length,
    );
    const commit = await msOf(
      async () => await checkpoint.commit(snapshot, windows.position, signal),
    );
    const pushed = await msOf(async () => await raw.call("RPUSH", "bare", delta));
    const usual = await msOf(async () => await plain.rpush("usual", delta));
    // As long lists as the task's log has: no more than that is kept.
    bytes = delta.length;
    if (i < warmUps) continue;
    times.copy.push(copied);
    times.commit.push(commit);
    times.ioredis.push(usual);
    bare.push(pushed);
  }
  await checkRestored(subject);
  const perKey = (ms: readonly number[]): number => (medianOf(ms) * 1e6) / keyCount;
  const ratio = `${timesText(times.commit, bare)} × a bare RPUSH (asked ≤ ${commitTarget})`;
  const note = `${keyCount} keys, ${(bytes / 1e6).toFixed(2)} MB in ${medianOf(times.commit).toFixed(2)} ms, copied before in ${medianOf(times.copy).toFixed(2)} ms: ${ratio}`;
  return [
    { name: "redis commit", role: "ours", nsPerRecord: perKey(times.commit), note },
    { name: "ioredis, RPUSH", role: "baseline", nsPerRecord: perKey(times.ioredis) },
    {
      name: "bare RPUSH of the same bytes",
      role: "limit",
      nsPerRecord: perKey(bare),
      note: `${medianOf(bare).toFixed(2)} ms`,
    },
  ];
}

async function measureRestores(subject: Subject): Promise<readonly Measured[]> {
  const { plain, raw, signal, state, windows, commits } = subject;
  const { checkpoint } = windows;
  for (let i = 0; i < commits; i += 1) {
    windows.append();
    await checkpoint.commit(checkpoint.snapshot(), windows.position, signal);
  }
  const { base, log } = await state.acquire(taskName, signal);
  const pieces: Uint8Array[] = [];
  for (const part of [base, log]) for await (const piece of part) pieces.push(piece);
  const all = Buffer.concat(pieces);
  const keys: string[] = [];
  for (let at = 0; at < all.length; at += pieceBytes) {
    keys.push(`piece:${keys.length}`);
    await raw.call("SET", keys.at(-1)!, all.subarray(at, at + pieceBytes));
  }
  const target = Buffer.alloc(all.length);
  const times = { restore: [] as number[], ioredis: [] as number[], bare: [] as number[] };
  for (let i = 0; i <= restores; i += 1) {
    const restore = await checkRestored(subject);
    let read = 0;
    const usual = await msOf(async () => {
      for (const key of keys) read += (await plain.getBuffer(key))!.length;
    });
    const bare = await msOf(async () => {
      for (const key of keys) read += await raw.get(key, target.subarray(read - all.length));
    });
    if (read !== 2 * all.length || !target.equals(all)) throw new Error("Read other bytes");
    if (i === 0) continue;
    times.restore.push(restore);
    times.ioredis.push(usual);
    times.bare.push(bare);
  }
  const rows = keyCount * windowRows;
  const perRow = (ms: readonly number[]): number => (medianOf(ms) * 1e6) / rows;
  const textOf = (ms: readonly number[]): string => `${medianOf(ms).toFixed(0)} ms`;
  const ratio = `${timesText(times.restore, times.ioredis)} × a bare read (asked ≤ ${restoreTarget}), ${timesText(times.restore, times.bare)} × a bare socket`;
  const note = `${keyCount} keys × ${windowRows} rows × ${fieldCount + 1}, ${(all.length / 1e6).toFixed(0)} MB in ${textOf(times.restore)}: ${ratio}`;
  return [
    { name: "redis restore", role: "ours", nsPerRecord: perRow(times.restore), note },
    {
      name: "bare read: ioredis GET of the same bytes",
      role: "baseline",
      nsPerRecord: perRow(times.ioredis),
      note: textOf(times.ioredis),
    },
    {
      name: "bare socket, the same bytes into memory",
      role: "limit",
      nsPerRecord: perRow(times.bare),
      note: textOf(times.bare),
    },
  ];
}

/** How many times as long. */
function timesText(ours: readonly number[], others: readonly number[]): string {
  return (medianOf(ours) / medianOf(others)).toFixed(2);
}

/** ms of a restore into windows that are wiped. @throws Error if they are not those committed. */
async function checkRestored({ restored, windows, signal }: Subject): Promise<number> {
  restored.wipe();
  const took = await msOf(async () => await restored.checkpoint.restore(signal));
  if (restored.digest !== windows.digest) {
    throw new Error(
      `Cannot trust a restore: its digest is ${restored.digest}, wanted ${windows.digest}`,
    );
  }
  return took;
}

/** Windows of all keys that grow a row at a time, with their checkpoint. */
class Windows {
  readonly checkpoint: TaskCheckpoint;
  readonly #store = new ColumnStore(windowRows, fieldCount, keyCount);
  #rows = 0;

  constructor(state: StateStore) {
    this.checkpoint = new TaskCheckpoint(taskName, state, [new StorePart(this.#store)], "bench");
  }

  get position() {
    return { offsets: { bars: this.#rows }, ends: {} };
  }

  /** Sum over the newest rows and the oldest ones: a window that is late or short shows here. */
  get digest(): number {
    const { columnCount, ends, rows, slotSize, stride, values } = this.#store;
    let sum = 0;
    for (let slot = 0; slot < keyCount; slot += 1) {
      const newest = slot * slotSize + ends[slot]! - 1 + (columnCount - 1) * stride;
      sum += values[newest]! + values[newest - rows[slot]! + 1]!;
    }
    return sum;
  }

  /** Forgets all rows; the memory stays there. */
  wipe(): void {
    this.#store.values.fill(Number.NaN);
    for (let slot = 0; slot < keyCount; slot += 1) this.#store.clear(slot);
  }

  append(): void {
    const store = this.#store;
    this.#rows += 1;
    for (let slot = 0; slot < keyCount; slot += 1) {
      const at = store.append(slot);
      for (let column = 0; column <= fieldCount; column += 1) {
        store.values[at + column * store.stride] = this.#rows + ((slot + column) & 63);
      }
      store.closes[slot] = this.#rows + 1;
    }
  }
}

/** What ran before leaves no garbage to this: a restore is the first thing a process does. */
async function msOf(work: () => Promise<unknown>): Promise<number> {
  Bun.gc(true);
  const began = performance.now();
  await work();
  return performance.now() - began;
}
