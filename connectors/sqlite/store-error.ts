import { SQLiteError } from "bun:sqlite";
import { accessSync, constants, statSync } from "node:fs";
import { dirname } from "node:path";
import { type ErrorCode, errorText, QmtlError, toError } from "../../runtime/index.ts";

/** What SQLite's primary result codes mean to the caller, and what was wanted instead. */
const meaningOf: ReadonlyMap<number, readonly [ErrorCode, string]> = new Map([
  [3, ["STORE_READ_ONLY", "a file that may be written"]],
  [5, ["STORE_UNAVAILABLE", "its lock within 5 s"]],
  [6, ["STORE_UNAVAILABLE", "its lock within 5 s"]],
  [8, ["STORE_READ_ONLY", "a file that may be written"]],
  [10, ["STORE_UNAVAILABLE", "a disk that answers"]],
  [11, ["STORE_CORRUPT", "an intact store (restore a copy, or move it away and start afresh)"]],
  [13, ["STORE_FULL", "free space for it"]],
  [18, ["STORE_REJECTED", "a smaller one"]],
  [26, ["STORE_CORRUPT", "a SQLite file (move it away, or name another path)"]],
]);

/** SQLITE_IOERR_SHMSIZE: the file beside the store could not grow, because the disk is full. */
const sharedMemoryFull = 4_874;

/** The error of SQLite or the file system, in one line with a code. Others pass unchanged. */
export function storeError(action: string, path: string, error: unknown): Error {
  if (error instanceof QmtlError) return error;
  const found = faultOf(path, error);
  if (found === undefined) return toError(error);
  const [code, wanted] = found;
  const message = `Cannot ${action}: ${errorText(error)}, wanted ${wanted}`;
  return new QmtlError(code, message, { path }, error);
}

/** True if somebody else holds the lock. */
export function isBusy(error: unknown): boolean {
  return error instanceof SQLiteError && (error.errno & 255) === 5;
}

function faultOf(path: string, error: unknown): readonly [ErrorCode, string] | undefined {
  if (error instanceof SQLiteError) {
    if (error.errno === sharedMemoryFull) return meaningOf.get(13);
    if ((error.errno & 255) === 14) return faultOfPath(path);
    return meaningOf.get(error.errno & 255);
  }
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (code === "ENOSPC" || code === "EDQUOT") return meaningOf.get(13);
  return typeof code === "string" ? faultOfPath(path) : undefined;
}

/** Why the file cannot be opened or made. */
function faultOfPath(path: string): readonly [ErrorCode, string] {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() === true) {
    return ["CONFIG_INVALID", "a file, not a directory"];
  }
  const directory = nearestDirectory(path);
  try {
    accessSync(directory, constants.W_OK);
  } catch {
    return ["STORE_READ_ONLY", `a directory that may be written, "${directory}" may not`];
  }
  return ["CONFIG_INVALID", "a path that can be opened"];
}

function nearestDirectory(path: string): string {
  const directory = dirname(path);
  const isThere = statSync(directory, { throwIfNoEntry: false }) !== undefined;
  return isThere || directory === path ? directory : nearestDirectory(directory);
}
