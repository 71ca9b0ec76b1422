import {
  type Commit,
  type CommitResult,
  type HistoryAppend,
  hasCode,
  type LatestValue,
  type Restored,
  reasonOf,
  type StateStore,
} from "../../runtime/index.ts";
import { parseSqliteUrl } from "./config.ts";
import { StoreFile, type StoreFormat } from "./store-file.ts";

/**
 *   task    one row per task; `base_commit` names the base in use, 0 = none
 *   base    pieces of bases, in use and staged
 *   delta   deltas since the base in use
 *   latest  newest record per node and interval
 *   record  node history, oldest first by id; a record is known by its bytes
 */
const format: StoreFormat = {
  name: "state store",
  applicationId: 0x716d_7473,
  version: 1,
  tables: `
    CREATE TABLE task (
      name TEXT PRIMARY KEY,
      epoch INTEGER NOT NULL,
      commit_number INTEGER NOT NULL,
      base_commit INTEGER NOT NULL,
      meta BLOB
    ) WITHOUT ROWID;
    CREATE TABLE base (
      task TEXT NOT NULL,
      commit_number INTEGER NOT NULL,
      piece INTEGER NOT NULL,
      bytes BLOB NOT NULL,
      PRIMARY KEY (task, commit_number, piece)
    );
    CREATE TABLE delta (
      task TEXT NOT NULL,
      commit_number INTEGER NOT NULL,
      bytes BLOB NOT NULL,
      PRIMARY KEY (task, commit_number)
    );
    CREATE TABLE latest (
      node TEXT NOT NULL,
      interval TEXT NOT NULL,
      ts REAL NOT NULL,
      value BLOB NOT NULL,
      PRIMARY KEY (node, interval)
    ) WITHOUT ROWID;
    CREATE TABLE record (
      id INTEGER PRIMARY KEY AUTOINCREMENT,
      node TEXT NOT NULL,
      interval TEXT NOT NULL,
      value BLOB NOT NULL,
      UNIQUE (node, interval, value)
    );
    CREATE INDEX record_by_age ON record (node, interval, id);`,
};

/**
 * Opens `sqlite:PATH`. Any number of openers may write, in any process: each call is one
 * transaction, and epochs tell owners apart.
 *
 * @throws QmtlError CONFIG_INVALID for a URL it cannot read; others as `StoreFile.open`.
 */
export async function openState(url: string, signal: AbortSignal): Promise<StateStore> {
  signal.throwIfAborted();
  const { path, bytesMax } = parseSqliteUrl(url);
  return new SqliteState(
    StoreFile.open({ path, bytesMax, mode: "write", isExclusive: false }, format),
  );
}

interface Task {
  readonly epoch: number;
  readonly commit: number;
  readonly baseCommit: number;
}

/** A commit that waits for its transaction. */
interface Waiting {
  readonly task: string;
  readonly commit: Commit;
  readonly signal: AbortSignal;
  readonly resolve: (result: CommitResult) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Checkpoints in one file; S1 to S4 hold because each call is one transaction, or has its part in
 * one: the commits of one turn of the event loop, such as those of all tasks of a thread, share it.
 */
class SqliteState implements StateStore {
  readonly warnings = [] as const;
  readonly #file: StoreFile;
  readonly #waiting: Waiting[] = [];

  constructor(file: StoreFile) {
    this.#file = file;
  }

  async acquire(task: string, signal: AbortSignal): Promise<Restored> {
    return this.#write(`acquire the task "${task}"`, signal, () => {
      this.#file
        .query(
          `INSERT INTO task (name, epoch, commit_number, base_commit) VALUES (?, 1, 0, 0)
           ON CONFLICT DO UPDATE SET epoch = epoch + 1`,
        )
        .run(task);
      const { epoch, commit, baseCommit } = this.#task(task) ?? {
        epoch: 1,
        commit: 0,
        baseCommit: 0,
      };
      // What was staged and no commit named (S3).
      this.#file
        .query("DELETE FROM base WHERE task = ? AND commit_number <> ?")
        .run(task, baseCommit);
      const base = this.#file
        .query("SELECT bytes FROM base WHERE task = ? AND commit_number = ? ORDER BY piece")
        .values(task, baseCommit);
      const log = this.#file
        .query("SELECT bytes FROM delta WHERE task = ? ORDER BY commit_number")
        .values(task);
      const meta = this.#file.query("SELECT meta FROM task WHERE name = ?").values(task);
      return { epoch, commit, meta: blobs(meta)[0], base: blobs(base), log: blobs(log) };
    });
  }

  async stageBase(
    task: string,
    piece: { epoch: number; commit: number; index: number; bytes: Uint8Array },
    signal: AbortSignal,
  ): Promise<"OK" | "FENCED"> {
    return this.#write(`stage a base of "${task}"`, signal, () => {
      const stored = this.#task(task);
      if (stored === undefined || stored.epoch !== piece.epoch) return "FENCED";
      // A repeat of a piece whose commit has gone through must not touch the base in use.
      if (piece.commit <= stored.commit) return "OK";
      this.#file
        .query(
          "INSERT OR REPLACE INTO base (task, commit_number, piece, bytes) VALUES (?, ?, ?, ?)",
        )
        .run(task, piece.commit, piece.index, piece.bytes);
      return "OK";
    });
  }

  async commit(task: string, commit: Commit, signal: AbortSignal): Promise<CommitResult> {
    this.#file.checkOpen(`commit the task "${task}"`);
    signal.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<CommitResult>();
    const count = this.#waiting.push({ task, commit, signal, resolve, reject });
    if (count === 1) setImmediate(() => this.#commitAll());
    return await promise;
  }

  async drop(task: string, signal: AbortSignal): Promise<void> {
    this.#write(`drop the task "${task}"`, signal, () => {
      this.#file.query("DELETE FROM base WHERE task = ?").run(task);
      this.#file.query("DELETE FROM delta WHERE task = ?").run(task);
      // The epoch stays and rises: an owner from before must not pass for the next one.
      this.#file
        .query(
          `UPDATE task SET epoch = epoch + 1, commit_number = 0, base_commit = 0, meta = NULL
           WHERE name = ?`,
        )
        .run(task);
    });
  }

  async putLatest(values: readonly LatestValue[], signal: AbortSignal): Promise<void> {
    this.#write("put latest values", signal, () => {
      const put = this.#file.query(
        `INSERT INTO latest (node, interval, ts, value) VALUES (?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET ts = excluded.ts, value = excluded.value
         WHERE excluded.ts >= ts`,
      );
      for (const { nodeId, interval, ts, value } of values) put.run(nodeId, interval, ts, value);
    });
  }

  async getLatest(
    nodeId: string,
    interval: string,
    signal: AbortSignal,
  ): Promise<LatestValue | undefined> {
    const row = this.#read("get a latest value", signal, () =>
      this.#file
        .query("SELECT ts, value FROM latest WHERE node = ? AND interval = ?")
        .values(nodeId, interval),
    )[0];
    if (row === undefined || !(row[1] instanceof Uint8Array)) return undefined;
    return { nodeId, interval, ts: Number(row[0]), value: row[1] };
  }

  async appendHistory(appends: readonly HistoryAppend[], signal: AbortSignal): Promise<void> {
    this.#write("append history", signal, () => {
      // A repeated append leaves each record once: a record is known by its bytes, its ts in them.
      const add = this.#file.query(
        "INSERT OR IGNORE INTO record (node, interval, value) VALUES (?, ?, ?)",
      );
      const trim = this.#file.query(
        `DELETE FROM record WHERE node = ?1 AND interval = ?2 AND id <= (
           SELECT id FROM record WHERE node = ?1 AND interval = ?2
           ORDER BY id DESC LIMIT 1 OFFSET ?3)`,
      );
      for (const { nodeId, interval, values, keep } of appends) {
        // What `keep` lets fall would come in again with the next repeat, and push others out.
        for (const value of values.slice(-keep)) add.run(nodeId, interval, value);
        trim.run(nodeId, interval, keep);
      }
    });
  }

  async getHistory(
    nodeId: string,
    interval: string,
    count: number,
    signal: AbortSignal,
  ): Promise<readonly Uint8Array[]> {
    const rows = this.#read("get history", signal, () =>
      this.#file
        .query("SELECT value FROM record WHERE node = ? AND interval = ? ORDER BY id DESC LIMIT ?")
        .values(nodeId, interval, count),
    );
    return blobs(rows);
  }

  async close(): Promise<void> {
    this.#commitAll();
    this.#file.close();
  }

  /** Makes the commits that wait, in one transaction if that goes through, and settles them. */
  #commitAll(): void {
    const all = this.#waiting.splice(0);
    const wanted = all.filter(({ signal }) => !signal.aborted);
    for (const { signal, reject } of all) if (signal.aborted) reject(reasonOf(signal));
    if (wanted.length === 0 || this.#commitTogether(wanted)) return;
    // One that can't be stored, being too large, is no fault of the others.
    for (const one of wanted) this.#commitTogether([one]);
  }

  /** True if all are settled; false if they failed and each may have better luck alone. */
  #commitTogether(all: readonly Waiting[]): boolean {
    const names = all.map(({ task }) => `"${task}"`).join(", ");
    try {
      const results = this.#file.transaction(`commit the task ${names}`, () =>
        all.map(({ task, commit }) => this.#commitOne(task, commit)),
      );
      for (const [i, { resolve }] of all.entries()) resolve(results[i] ?? "GAP");
    } catch (error) {
      if (all.length > 1 && !hasCode(error, "STORE_UNAVAILABLE")) return false;
      for (const { reject } of all) reject(error);
    }
    return true;
  }

  #commitOne(task: string, commit: Commit): CommitResult {
    const stored = this.#task(task);
    if (stored === undefined || stored.epoch !== commit.epoch) return "FENCED";
    if (commit.commit <= stored.commit) return "DUP";
    if (commit.commit !== stored.commit + 1) return "GAP";
    const baseCommit = commit.swapsBase ? commit.commit : stored.baseCommit;
    if (commit.swapsBase) {
      // A base that is staged ahead of this one stays.
      this.#file
        .query("DELETE FROM base WHERE task = ? AND commit_number < ?")
        .run(task, baseCommit);
      this.#file.query("DELETE FROM delta WHERE task = ?").run(task);
    }
    if (commit.delta.length > 0) {
      this.#file
        .query("INSERT INTO delta (task, commit_number, bytes) VALUES (?, ?, ?)")
        .run(task, commit.commit, commit.delta);
    }
    this.#file
      .query("UPDATE task SET commit_number = ?, base_commit = ?, meta = ? WHERE name = ?")
      .run(commit.commit, baseCommit, commit.meta, task);
    return "OK";
  }

  #write<Result>(action: string, signal: AbortSignal, body: () => Result): Result {
    this.#file.checkOpen(action);
    signal.throwIfAborted();
    return this.#file.transaction(action, body);
  }

  #read<Result>(action: string, signal: AbortSignal, body: () => Result): Result {
    this.#file.checkOpen(action);
    signal.throwIfAborted();
    return this.#file.guard(action, body);
  }

  #task(task: string): Task | undefined {
    const row = this.#file
      .query("SELECT epoch, commit_number, base_commit FROM task WHERE name = ?")
      .values(task)[0];
    return row && { epoch: Number(row[0]), commit: Number(row[1]), baseCommit: Number(row[2]) };
  }
}

function blobs(rows: readonly (readonly unknown[])[]): readonly Uint8Array[] {
  return rows.map((row) => row[0]).filter((value) => value instanceof Uint8Array);
}
