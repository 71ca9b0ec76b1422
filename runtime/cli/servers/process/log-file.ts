import { closeSync, fstatSync, openSync, readSync, statSync } from "node:fs";

/** Bytes of a log that are looked at, from its end. */
const readBytesMax = 256 * 1024;

/** Size of the file at `path`, in bytes; 0 if there is none. */
export function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

/** What was written to the log at `path` from byte `start` on, at most its last 256 KiB. */
export function readLog(path: string, start: number): string {
  if (sizeOf(path) <= start) return "";
  const file = openSync(path, "r");
  try {
    const size = fstatSync(file).size;
    const from = Math.max(start, size - readBytesMax);
    const bytes = Buffer.alloc(size - from);
    const read = readSync(file, bytes, 0, bytes.length, from);
    return bytes.toString("utf8", 0, read);
  } finally {
    closeSync(file);
  }
}

/** Last `lineCount` lines of the log at `path`. */
export function tailOf(path: string, lineCount: number): string {
  return readLog(path, 0).trimEnd().split("\n").slice(-lineCount).join("\n");
}
