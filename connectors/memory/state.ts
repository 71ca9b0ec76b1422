import {
  type Commit,
  type CommitResult,
  type HistoryAppend,
  type LatestValue,
  QmtlError,
  type Restored,
  type StateStore,
} from "../../runtime/index.ts";
import { memoryStateConfig, parseMemoryUrl } from "./config.ts";
import { type Share, Shares } from "./shares.ts";

/** What is kept of one task; `bases` holds the base in use and those that are staged, by commit. */
interface Task {
  epoch: number;
  commit: number;
  meta: Uint8Array | undefined;
  baseCommit: number;
  readonly bases: Map<number, Map<number, Uint8Array>>;
  log: Uint8Array[];
}

interface Data {
  readonly tasks: Map<string, Task>;
  readonly latest: Map<string, LatestValue>;
  /** Oldest first. */
  readonly histories: Map<string, readonly Uint8Array[]>;
  bytes: number;
}

const shares = new Shares<Data>();

/**
 * Opens `memory:` (fresh) or `memory:NAME` (shared by the openers of this thread while one is open).
 *
 * @throws QmtlError CONFIG_INVALID for a URL it cannot read.
 */
export async function openState(url: string, signal: AbortSignal): Promise<StateStore> {
  signal.throwIfAborted();
  const config = parseMemoryUrl(url, memoryStateConfig);
  const share = shares.hold(config.name, () => ({
    tasks: new Map<string, Task>(),
    latest: new Map<string, LatestValue>(),
    histories: new Map<string, readonly Uint8Array[]>(),
    bytes: 0,
  }));
  return new MemoryState(share, config.bytesMax);
}

/** Checkpoints that end with their openers. Bytes are copied in and out: a caller reuses its own. */
class MemoryState implements StateStore {
  readonly warnings = ["State is kept in memory: it ends with this process"] as const;
  readonly #share: Share<Data>;
  readonly #bytesMax: number;

  constructor(share: Share<Data>, bytesMax: number) {
    this.#share = share;
    this.#bytesMax = bytesMax;
  }

  async acquire(task: string, signal: AbortSignal): Promise<Restored> {
    const { tasks } = this.#share.use("acquire a task", signal);
    const stored = tasks.get(task) ?? newTask();
    tasks.set(task, stored);
    stored.epoch += 1;
    this.#dropBases(stored, (number) => number !== stored.baseCommit);
    const pieces = [...(stored.bases.get(stored.baseCommit) ?? [])];
    return {
      epoch: stored.epoch,
      commit: stored.commit,
      meta: stored.meta?.slice(),
      base: pieces.toSorted((a, b) => a[0] - b[0]).map(([, bytes]) => bytes.slice()),
      log: stored.log.map((delta) => delta.slice()),
    };
  }

  async stageBase(
    task: string,
    piece: { epoch: number; commit: number; index: number; bytes: Uint8Array },
    signal: AbortSignal,
  ): Promise<"OK" | "FENCED"> {
    const stored = this.#share.use("stage a base", signal).tasks.get(task);
    if (stored === undefined || stored.epoch !== piece.epoch) return "FENCED";
    // A repeat of a piece whose commit has gone through must not touch the base in use.
    if (piece.commit <= stored.commit) return "OK";
    const pieces = stored.bases.get(piece.commit) ?? new Map<number, Uint8Array>();
    this.#account(piece.bytes.length - (pieces.get(piece.index)?.length ?? 0));
    pieces.set(piece.index, piece.bytes.slice());
    stored.bases.set(piece.commit, pieces);
    return "OK";
  }

  async commit(task: string, commit: Commit, signal: AbortSignal): Promise<CommitResult> {
    const stored = this.#share.use("commit", signal).tasks.get(task);
    if (stored === undefined || stored.epoch !== commit.epoch) return "FENCED";
    if (commit.commit <= stored.commit) return "DUP";
    if (commit.commit !== stored.commit + 1) return "GAP";
    const delta = commit.delta.length === 0 ? [] : [commit.delta.slice()];
    const dropped = commit.swapsBase ? bytesOf(stored.log) : 0;
    const metaBytes = commit.meta.length - (stored.meta?.length ?? 0);
    this.#account(bytesOf(delta) + metaBytes - dropped);
    if (commit.swapsBase) stored.log = [];
    stored.log.push(...delta);
    stored.meta = commit.meta.slice();
    stored.commit = commit.commit;
    if (commit.swapsBase) {
      stored.baseCommit = commit.commit;
      this.#dropBases(stored, (number) => number < commit.commit);
    }
    return "OK";
  }

  async drop(task: string, signal: AbortSignal): Promise<void> {
    const { tasks } = this.#share.use("drop a task", signal);
    const stored = tasks.get(task);
    if (stored === undefined) return;
    const bases = [...stored.bases.values()].flatMap((pieces) => [...pieces.values()]);
    this.#account(-bytesOf([...bases, ...stored.log]) - (stored.meta?.length ?? 0));
    // The epoch stays and rises: an owner from before must not pass for the next one.
    tasks.set(task, { ...newTask(), epoch: stored.epoch + 1 });
  }

  async putLatest(values: readonly LatestValue[], signal: AbortSignal): Promise<void> {
    const { latest } = this.#share.use("put latest values", signal);
    for (const value of values) {
      const key = keyOf(value.nodeId, value.interval);
      const stored = latest.get(key);
      if (stored !== undefined && stored.ts > value.ts) continue;
      this.#account(value.value.length - (stored?.value.length ?? 0));
      latest.set(key, { ...value, value: value.value.slice() });
    }
  }

  async getLatest(
    nodeId: string,
    interval: string,
    signal: AbortSignal,
  ): Promise<LatestValue | undefined> {
    const stored = this.#share
      .use("get a latest value", signal)
      .latest.get(keyOf(nodeId, interval));
    return stored && { ...stored, value: stored.value.slice() };
  }

  async appendHistory(appends: readonly HistoryAppend[], signal: AbortSignal): Promise<void> {
    const { histories } = this.#share.use("append history", signal);
    for (const { nodeId, interval, values, keep } of appends) {
      const key = keyOf(nodeId, interval);
      const stored = histories.get(key) ?? [];
      // A repeated append leaves each record once: a record is known by its bytes, its ts in them.
      const known = new Set(stored.map(textOf));
      // What `keep` lets fall would come in again with the next repeat, and push others out.
      const added = values
        .slice(-keep)
        .filter((value) => !known.has(textOf(value)))
        .map((value) => value.slice());
      const next = [...stored, ...added].slice(-keep);
      this.#account(bytesOf(next) - bytesOf(stored));
      histories.set(key, next);
    }
  }

  async getHistory(
    nodeId: string,
    interval: string,
    count: number,
    signal: AbortSignal,
  ): Promise<readonly Uint8Array[]> {
    const { histories } = this.#share.use("get history", signal);
    const newestFirst = (histories.get(keyOf(nodeId, interval)) ?? []).toReversed();
    return newestFirst.slice(0, count).map((value) => value.slice());
  }

  async close(): Promise<void> {
    this.#share.release();
  }

  #account(addedBytes: number): void {
    const bytes = this.#share.data.bytes + addedBytes;
    if (addedBytes > 0 && bytes > this.#bytesMax) {
      throw new QmtlError(
        "STORE_FULL",
        `Cannot write state: it would take ${bytes} bytes of memory, wanted at most ${this.#bytesMax} (bytesMax)`,
        { bytes, bytesMax: this.#bytesMax },
      );
    }
    this.#share.data.bytes = bytes;
  }

  #dropBases(task: Task, isDropped: (commit: number) => boolean): void {
    for (const [commit, pieces] of task.bases) {
      if (!isDropped(commit)) continue;
      this.#account(-bytesOf([...pieces.values()]));
      task.bases.delete(commit);
    }
  }
}

function newTask(): Task {
  return { epoch: 0, commit: 0, meta: undefined, baseCommit: 0, bases: new Map(), log: [] };
}

function bytesOf(parts: readonly Uint8Array[]): number {
  return parts.reduce((sum, part) => sum + part.length, 0);
}

function keyOf(nodeId: string, interval: string): string {
  return JSON.stringify([nodeId, interval]);
}

function textOf(value: Uint8Array): string {
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("latin1");
}
