import { readFileSync } from "node:fs";

/**
 * When process `pid` was started, in clock ticks since boot; undefined if it does not run. A
 * process ID alone is no name: the system gives it out again.
 */
export function startTicksOf(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The second field is the program's name in parentheses, which may hold spaces.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const isDead = fields[0] === "Z" || fields[0] === "X";
    return isDead ? undefined : Number(fields[19]);
  } catch {
    return undefined;
  }
}

/** True if the process that had `pid` and `startTicks` still runs. */
export function isSameProcess(pid: number, startTicks: number): boolean {
  return startTicksOf(pid) === startTicks;
}
