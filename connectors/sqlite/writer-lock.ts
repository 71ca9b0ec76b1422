import { Database } from "bun:sqlite";
import { QmtlError } from "../../runtime/index.ts";
import { isBusy, storeError } from "./store-error.ts";

/**
 * The right to write one store: an open `BEGIN IMMEDIATE` on a second SQLite file, `<path>.lock`,
 * for the writer's life. The store itself stays in normal locking, so readers always come in.
 *
 * The operating system drops the lock with the process, however it ends; the file stays, for
 * removing it would race with the next writer. Rejected: a file with a process id, which outlives
 * its process, and SQLite's exclusive locking mode, which shuts readers out.
 */
export class WriterLock {
  readonly #database: Database;

  private constructor(database: Database) {
    this.#database = database;
  }

  /** @throws QmtlError STORE_LOCKED if another writer has `path` open, in any process. */
  static take(path: string): WriterLock {
    const lockPath = `${path}.lock`;
    let database: Database | undefined;
    try {
      database = new Database(lockPath, { create: true, readwrite: true });
      database.run("BEGIN IMMEDIATE");
      return new WriterLock(database);
    } catch (error) {
      database?.close();
      if (!isBusy(error)) throw storeError(`lock "${path}"`, lockPath, error);
      throw new QmtlError(
        "STORE_LOCKED",
        `Cannot write "${path}": another writer has it open, wanted one writer at a time`,
        { path },
        error,
      );
    }
  }

  /** Lets the next writer in. */
  release(): void {
    this.#database.close();
  }
}
