import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { isSameProcess, startTicksOf } from "./process-identity.ts";

/** Where a server's files go. */
export interface DataDirectory {
  readonly path: string;
  readonly isTemporary: boolean;
}

/** `qmtl-redis-4711-98765-x1Y2z3`: server, then the owner's process ID and its start. */
const temporaryName = /^qmtl-[a-z0-9]+-(\d+)-(\d+)-/;
let isSwept = false;

/** `given`, made if missing, else a temporary directory that names the server and its owner. */
export function openDataDirectory(server: string, given: string | undefined): DataDirectory {
  if (given !== undefined) {
    const path = resolve(given);
    mkdirSync(path, { recursive: true });
    return { path, isTemporary: false };
  }
  if (!isSwept) sweepTemporary();
  isSwept = true;
  const owner = `${process.pid}-${startTicksOf(process.pid) ?? 0}`;
  return { path: mkdtempSync(join(tmpdir(), `qmtl-${server}-${owner}-`)), isTemporary: true };
}

/** Removes what processes left behind that died between a server's end and its restart. */
export function sweepTemporary(): void {
  for (const name of readdirSync(tmpdir())) {
    const match = temporaryName.exec(name);
    if (match === null || isSameProcess(Number(match[1]), Number(match[2]))) continue;
    rmSync(join(tmpdir(), name), { recursive: true, force: true });
  }
}
