import { existsSync } from "node:fs";
import { mkdir, mkdtemp, open, readFile, rename, rm } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { systemClock } from "../../../core/clock.ts";
import { QmtlError } from "../../../core/errors.ts";
import { isSameProcess, startTicksOf } from "../process/process-identity.ts";

/** Longest wait for another process that prepares the same thing, in ms. */
const lockMsMax = 900_000;

/** Where servers' programs are kept between runs: `QMTL_CACHE`, else `~/.cache/qmtl`. */
export function cacheRoot(): string {
  return process.env["QMTL_CACHE"] ?? join(homedir(), ".cache", "qmtl");
}

/**
 * The directory `name` of the cache, made by `fill` if it is not there yet.
 *   C1  It is there whole or not at all: `fill` works on a scratch directory, renamed at the end.
 *   C2  Of several processes one fills and the others wait. The lock only saves work: should two
 *       fill at once after a crash, the first rename wins and the other copy is removed.
 */
export async function cached(
  name: string,
  fill: (directory: string) => Promise<void>,
): Promise<string> {
  const path = join(cacheRoot(), name);
  if (existsSync(path)) return path;
  return await withLock(`${path}.lock`, async () => {
    if (existsSync(path)) return path;
    const scratch = await mkdtemp(`${path}.new-`);
    try {
      await fill(scratch);
      await rename(scratch, path).catch((error: unknown) => {
        if (!existsSync(path)) throw error;
      });
      return path;
    } finally {
      await rm(scratch, { recursive: true, force: true });
    }
  });
}

/**
 * Runs `work` while no other process holds the lock file `path`. The lock of a process that died
 * is taken over.
 *
 * @throws QmtlError SERVER_START_FAILED if another process holds it for 15 minutes.
 */
export async function withLock<T>(path: string, work: () => Promise<T>): Promise<T> {
  await mkdir(dirname(path), { recursive: true });
  const signal = AbortSignal.timeout(lockMsMax);
  while (!(await takeLock(path))) {
    if (signal.aborted) {
      throw new QmtlError(
        "SERVER_START_FAILED",
        `Cannot take the lock "${path}": another process holds it for ${lockMsMax} ms, wanted it free`,
      );
    }
    if (await isAbandoned(path)) await rm(path, { force: true });
    else await systemClock.sleep(50, new AbortController().signal);
  }
  try {
    return await work();
  } finally {
    await rm(path, { force: true });
  }
}

async function takeLock(path: string): Promise<boolean> {
  try {
    const file = await open(path, "wx");
    await file.writeFile(`${process.pid} ${startTicksOf(process.pid) ?? 0}`);
    await file.close();
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EEXIST") return false;
    throw error;
  }
}

/** True if the lock's owner does not run; an empty file is an owner that is still writing. */
async function isAbandoned(path: string): Promise<boolean> {
  const text = await readFile(path, "utf8").catch(() => "");
  const [pid, ticks] = text.split(" ").map(Number);
  return pid !== undefined && ticks !== undefined && !isSameProcess(pid, ticks);
}
