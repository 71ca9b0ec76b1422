import { constants, Database, type SQLQueryBindings, type Statement } from "bun:sqlite";
import { existsSync, mkdirSync, realpathSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { QmtlError } from "../../runtime/index.ts";
import { storeError } from "./store-error.ts";
import { WriterLock } from "./writer-lock.ts";

/** What a kind of store brings: the file says of which kind and format it is. */
export interface StoreFormat {
  /** For messages: `history store`. */
  readonly name: string;
  /** SQLite's `application_id`: four letters that tell our kinds of files apart. */
  readonly applicationId: number;
  /** SQLite's `user_version`: a file of another one is refused. */
  readonly version: number;
  readonly tables: string;
}

/** How a file is opened. */
export interface StoreFileOptions {
  readonly path: string;
  readonly bytesMax: number | undefined;
  readonly mode: "read" | "write";
  /** True if a second writer is refused; false if transactions alone keep writers apart. */
  readonly isExclusive: boolean;
}

/** Wide enough that a chunk of 98 KB takes few pages, see the bench. */
const pageBytes = 16_384;
/** Pages kept in memory: what the checkpoints of a thread change at a time fits. */
const cacheKilobytes = 16_384;
/** Longest wait for another's transaction, ms. */
const busyMsMax = 5_000;

/**
 * One SQLite file, opened, checked and guarded: every error leaves with a code.
 *
 * The journal is a write-ahead log, so readers and the writer never block each other, and
 * `synchronous` is NORMAL: a commit is in the operating system's hands before it is reported, so
 * that `kill -9` loses nothing. A power cut may take the last commits, but never parts of one:
 * rows go with their coverage and are fetched again, a checkpoint goes back as a whole. FULL would
 * add an fsync to each of the four commits a second of each task, for that case alone.
 */
export class StoreFile {
  readonly path: string;
  readonly #database: Database;
  readonly #lock: WriterLock | undefined;
  #isClosed = false;

  private constructor(path: string, database: Database, lock: WriterLock | undefined) {
    this.path = path;
    this.#database = database;
    this.#lock = lock;
  }

  /**
   * @throws QmtlError STORE_LOCKED, STORE_READ_ONLY, STORE_CORRUPT, STORE_FULL,
   *   STORE_VERSION_UNKNOWN, CONFIG_INVALID (never), STORE_UNAVAILABLE (backoff). The file is
   *   unchanged then.
   */
  static open(options: StoreFileOptions, format: StoreFormat): StoreFile {
    const action = `open the ${format.name} "${options.path}"`;
    let path = options.path;
    let lock: WriterLock | undefined;
    let database: Database | undefined;
    try {
      if (options.mode === "write") mkdirSync(dirname(resolve(path)), { recursive: true });
      path = canonical(path);
      if (options.mode === "write" && options.isExclusive) lock = WriterLock.take(path);
      database = options.mode === "write" ? openToWrite(path) : openToRead(path);
      prepare(database, options, format);
      return new StoreFile(path, database, lock);
    } catch (error) {
      database?.close();
      lock?.release();
      throw storeError(action, path, error);
    }
  }

  /** The statement of `sql`, prepared once. @throws QmtlError STORE_CLOSED. */
  query(sql: string): Statement<unknown, SQLQueryBindings[]> {
    this.checkOpen("use the store");
    return this.#database.query<unknown, SQLQueryBindings[]>(sql);
  }

  /** Runs `body`, giving its errors a code; `action` reads as in "Cannot <action>". */
  guard<Result>(action: string, body: () => Result): Result {
    this.checkOpen(action);
    try {
      return body();
    } catch (error) {
      throw storeError(`${action} in "${this.path}"`, this.path, error);
    }
  }

  /** Runs `body` in one transaction: all of it is stored, or nothing. */
  transaction<Result>(action: string, body: () => Result): Result {
    return this.#within("BEGIN IMMEDIATE", action, body);
  }

  /** Runs `body`, whose reads all see the same state of the store. */
  snapshot<Result>(action: string, body: () => Result): Result {
    return this.#within("BEGIN DEFERRED", action, body);
  }

  /** @throws QmtlError STORE_CLOSED after `close`. */
  checkOpen(action: string): void {
    if (!this.#isClosed) return;
    throw new QmtlError("STORE_CLOSED", `Cannot ${action}: the store is closed, wanted it open`, {
      path: this.path,
    });
  }

  /** Safe to call twice, never throws. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#database.close();
    this.#lock?.release();
  }

  #within<Result>(begin: string, action: string, body: () => Result): Result {
    return this.guard(action, () => {
      this.#database.run(begin);
      try {
        const result = body();
        this.#database.run("COMMIT");
        return result;
      } catch (error) {
        // A full disk or an I/O error may have rolled back already.
        if (this.#database.inTransaction) this.#database.run("ROLLBACK");
        throw error;
      }
    });
  }
}

/** One path for one file, so that two names of it meet at one lock. */
function canonical(path: string): string {
  const full = resolve(path);
  if (existsSync(full)) return realpathSync(full);
  const directory = dirname(full);
  return existsSync(directory) ? join(realpathSync(directory), basename(full)) : full;
}

function openToWrite(path: string): Database {
  return new Database(path, { create: true, readwrite: true });
}

function openToRead(path: string): Database {
  if (!existsSync(path)) {
    throw new QmtlError(
      "CONFIG_INVALID",
      `Cannot read "${path}": there is no such file, wanted a store that an earlier run wrote`,
      { path },
    );
  }
  const database = new Database(path, { readonly: true });
  try {
    database.query("PRAGMA user_version").get();
    return database;
  } catch (error) {
    database.close();
    // In a directory that may not be written, the log's own files cannot be made. Without a log
    // there is no writer, and the file can be read as it lies.
    if (existsSync(`${path}-wal`) || numberOf(error) !== 14) throw error;
    const flags = constants.SQLITE_OPEN_READONLY | constants.SQLITE_OPEN_URI;
    return new Database(`${pathToFileURL(path).href}?immutable=1`, flags);
  }
}

function numberOf(error: unknown): number | undefined {
  return error instanceof Error && "errno" in error && typeof error.errno === "number"
    ? error.errno & 255
    : undefined;
}

function prepare(database: Database, options: StoreFileOptions, format: StoreFormat): void {
  database.run(`PRAGMA busy_timeout = ${busyMsMax}`);
  const isNew = checkFormat(database, options.path, format);
  if (options.mode === "read") {
    if (!isNew) return;
    throw new QmtlError(
      "STORE_UNAVAILABLE",
      `Cannot read "${options.path}": its writer has not set it up yet, wanted a ${format.name}`,
      { path: options.path },
    );
  }
  if (isNew) database.run(`PRAGMA page_size = ${pageBytes}`);
  database.run("PRAGMA journal_mode = WAL");
  database.run("PRAGMA synchronous = NORMAL");
  database.run(`PRAGMA cache_size = -${cacheKilobytes}`);
  database.run("PRAGMA journal_size_limit = 67108864");
  if (options.bytesMax !== undefined) {
    database.run(`PRAGMA max_page_count = ${Math.floor(options.bytesMax / pageBytes)}`);
  }
  if (isNew) {
    create(database, options.path, format);
    return;
  }
  // SQLite opens a file that may not be written all the same, and fails at the first write: so
  // write what is there already, and take it back.
  database.run("BEGIN IMMEDIATE");
  database.run(`PRAGMA user_version = ${format.version}`);
  database.run("ROLLBACK");
}

/** True if the file has nothing in it yet. @throws QmtlError STORE_VERSION_UNKNOWN. */
function checkFormat(database: Database, path: string, format: StoreFormat): boolean {
  // At one moment: another opener may set the file up between two of these reads.
  const { applicationId, version, schema } = database.transaction(() => ({
    applicationId: pragma(database, "application_id"),
    version: pragma(database, "user_version"),
    schema: pragma(database, "schema_version"),
  }))();
  if (applicationId === format.applicationId && version === format.version) return false;
  if (applicationId === 0 && version === 0 && schema === 0) return true;
  const found =
    applicationId === format.applicationId
      ? `it has format ${version}, wanted ${format.version}`
      : `it is another kind of SQLite file, wanted a ${format.name}`;
  throw new QmtlError("STORE_VERSION_UNKNOWN", `Cannot open "${path}": ${found}`, {
    path,
    found: version,
    wanted: format.version,
  });
}

function create(database: Database, path: string, format: StoreFormat): void {
  database
    .transaction(() => {
      // Another opener may have been quicker between the check and the lock.
      if (!checkFormat(database, path, format)) return;
      database.run(format.tables);
      database.run(`PRAGMA application_id = ${format.applicationId}`);
      database.run(`PRAGMA user_version = ${format.version}`);
    })
    .immediate();
}

function pragma(database: Database, name: string): number {
  const row = database.query<Record<string, number>, []>(`PRAGMA ${name}`).get();
  return row?.[name] ?? 0;
}
