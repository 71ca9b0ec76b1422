import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { systemClock } from "../../../core/clock.ts";
import { QmtlError } from "../../../core/errors.ts";
import { readLog, sizeOf, tailOf } from "./log-file.ts";
import { startTicksOf } from "./process-identity.ts";

/** What to start, and how to see that it is ready. */
export interface ProcessSpec {
  /** For messages: `kafka`, `kafka-2`, `questdb`. */
  readonly name: string;
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** Standard output and error are appended here. */
  readonly logPath: string;
  /** Removed if our process ends without `close`; undefined keeps all data. */
  readonly removeAtEnd: string | undefined;
  /** True: the server outlives us (`qmtl up`). False: it dies with us, also of `kill -9`. */
  readonly isDetached: boolean;
  /** Told the process ID at once, before it is ready. */
  readonly onSpawn: ((pid: number) => void) | undefined;
  readonly readyMsMax: number;
  /** True once the server answers; `log` is what it wrote since this start. */
  readonly isReady: (log: string, pid: number) => Promise<boolean>;
}

/** Longest wait for an orderly end before the server is killed, in ms. */
const stopMsMax = 15_000;
const probeEveryMs = 25;

/**
 * The watchdog: a shell that becomes the server, after it forked a reader of our pipe. When the
 * pipe ends, which the kernel sees to however we end, the reader kills the server and removes its
 * temporary files. It is forked before the server runs, so there is no moment without it. Polling
 * our process ID instead would trust a number that is given out again.
 *
 * The pipe also ends when the server has ended first. If we live on, the files are kept for a
 * restart; if we end too (a test runner that ends its children before itself), they are removed.
 * Should we die after those two seconds, `sweepTemporary` removes them at the next start.
 */
const watchdog = `dir=$1; owner=$2; shift 2; pid=$$; exec 3<&0
ticks() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d ' ' -f 20; }
runs() { [ -n "$2" ] && [ "$(ticks "$1")" = "$2" ] && ! grep -q '^State:.[ZX]' "/proc/$1/status"; }
(
  trap '' HUP INT TERM
  born=$(ticks "$pid"); ownerBorn=$(ticks "$owner")
  read -r _
  if runs "$pid" "$born"; then kill -9 "$pid"; else
    tries=40
    while runs "$owner" "$ownerBorn"; do
      tries=$((tries - 1)); if [ "$tries" = 0 ]; then exit 0; fi; sleep 0.05
    done
  fi
  while runs "$pid" "$born"; do sleep 0.05; done
  if [ -n "$dir" ]; then rm -rf "$dir"; fi
) <&3 3<&- >/dev/null 2>&1 &
exec "$@" </dev/null 3<&-`;

/**
 * One server process that can be killed, frozen, and started again with the same arguments.
 *   P1  It has its own session: a Ctrl-C at the terminal does not reach it.
 *   P2  Unless detached, it is gone when our process is, however that ends.
 *   P3  `start` resolves only when the probe answered, and rejects with the end of the log.
 */
export class ServerProcess {
  readonly #spec: ProcessSpec;
  #child: ChildProcess | undefined;
  #exited: Promise<void> = Promise.resolve();
  #logStart = 0;

  constructor(spec: ProcessSpec) {
    this.#spec = spec;
  }

  /** Process ID of the server; 0 if it does not run. */
  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  /** @throws QmtlError SERVER_START_FAILED if it ends or stays silent; the message ends in its log. */
  async start(): Promise<void> {
    if (this.#child !== undefined) return;
    this.#logStart = sizeOf(this.#spec.logPath);
    const child = this.#spawn();
    this.#child = child;
    if (child.pid !== undefined) this.#spec.onSpawn?.(child.pid);
    this.#exited = new Promise((resolve) => {
      const done = (): void => {
        if (this.#child === child) this.#child = undefined;
        child.stdin?.destroy();
        resolve();
      };
      child.once("exit", done);
      child.once("error", done);
    });
    await this.#waitUntilReady(child);
  }

  /** Kills it as a power cut would; resolves when it is gone. */
  async kill9(): Promise<void> {
    this.#signal("SIGKILL");
    await this.#exited;
  }

  /** Asks it to end, and kills it after 15 s; resolves when it is gone. */
  async stop(): Promise<void> {
    this.#signal("SIGTERM");
    this.#signal("SIGCONT");
    const timer = setTimeout(() => this.#signal("SIGKILL"), stopMsMax);
    await this.#exited;
    clearTimeout(timer);
  }

  /** It stops doing anything, with its sockets open. */
  freeze(): void {
    this.#signal("SIGSTOP");
  }

  /** It goes on after `freeze`. */
  thaw(): void {
    this.#signal("SIGCONT");
  }

  /** Last `lineCount` lines it wrote, over all its starts. */
  logTail(lineCount: number): string {
    return tailOf(this.#spec.logPath, lineCount);
  }

  #spawn(): ChildProcess {
    const { command, environment, logPath, isDetached, removeAtEnd } = this.#spec;
    const log = openSync(logPath, "a");
    try {
      const argv = isDetached
        ? ["/bin/sh", "-c", 'exec "$@" </dev/null', "sh", ...command]
        : ["/bin/sh", "-c", watchdog, "sh", removeAtEnd ?? "", String(process.pid), ...command];
      const child = spawn(argv[0] ?? "", argv.slice(1), {
        detached: true,
        env: { ...process.env, ...environment },
        stdio: [isDetached ? "ignore" : "pipe", log, log],
      });
      child.stdin?.on("error", ignoreClosedPipe);
      // Neither the process nor its pipe keeps our event loop alive.
      child.unref();
      return child;
    } finally {
      closeSync(log);
    }
  }

  async #waitUntilReady(child: ChildProcess): Promise<void> {
    const { name, readyMsMax, logPath, isReady } = this.#spec;
    const signal = AbortSignal.timeout(readyMsMax);
    while (this.#child === child && !signal.aborted) {
      if (await isReady(readLog(logPath, this.#logStart), this.pid)) return;
      await systemClock.sleep(probeEveryMs, signal).catch(giveUp);
    }
    const what =
      this.#child === child
        ? `no answer after ${readyMsMax} ms`
        : "the process ended while starting";
    const tail = this.logTail(20);
    await this.kill9();
    throw new QmtlError(
      "SERVER_START_FAILED",
      `Cannot start ${name}: ${what}, wanted a ready server; its log ends:\n${tail}`,
      { server: name },
    );
  }

  #signal(name: "SIGKILL" | "SIGTERM" | "SIGSTOP" | "SIGCONT"): void {
    const pid = this.pid;
    if (pid === 0 || startTicksOf(pid) === undefined) return;
    process.kill(pid, name);
  }
}

/** The time to get ready is over: the loop sees it in the signal. */
function giveUp(): void {
  // Nothing to do here.
}

/** The watchdog's end of the pipe closes when the watchdog does: nothing is lost by that. */
function ignoreClosedPipe(): void {
  // Nothing to do: the pipe carries no data, only its own end.
}
