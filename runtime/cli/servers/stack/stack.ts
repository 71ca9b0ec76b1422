import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { systemClock } from "../../../core/clock.ts";
import { withLock } from "../artifacts/cache.ts";
import { startKafka } from "../kafka/kafka.ts";
import { startNeo4j } from "../neo4j.ts";
import { portOr } from "../process/free-port.ts";
import { type Server, type StartOptions } from "../process/managed-server.ts";
import { isListening } from "../process/probe.ts";
import { isSameProcess, startTicksOf } from "../process/process-identity.ts";
import { startQuestdb } from "../questdb.ts";
import { startRedis } from "../redis.ts";
import { type ServerKind, serverKinds } from "../requirements.ts";
import {
  isRunning,
  readState,
  type StackEntry,
  type StackState,
  writeState,
} from "./stack-state.ts";

/** The ports people know; another one is taken if a foreign server has it. */
export const usualPorts = {
  kafka: 9_092,
  questdb: 9_000,
  redis: 6_379,
  neo4j: 7_687,
} as const satisfies Record<ServerKind, number>;

const questdbPgPort = 8_812;
const questdbIlpPort = 9_009;
/** Longest wait for an orderly end, in ms. */
const stopMsMax = 20_000;

/** How one server of the stack is doing. */
export interface StackStatus {
  readonly kind: ServerKind;
  /** `down` was up before; `absent` never was; `silent` runs and does not accept connections. */
  readonly state: "up" | "silent" | "down" | "absent";
  readonly url: string | undefined;
  readonly pids: readonly number[];
  readonly upMs: number | undefined;
  readonly dataDir: string | undefined;
  readonly logPath: string | undefined;
}

/**
 * The real servers of one directory, which outlive the command that starts them. Several commands
 * may work on one directory: each change of the state file happens under a lock.
 */
export class Stack {
  /** Data, logs and the state file. */
  readonly directory: string;
  readonly #path: string;

  /** `directory` default: `~/.qmtl`. */
  constructor(directory: string = join(homedir(), ".qmtl")) {
    this.directory = resolve(directory);
    this.#path = join(this.directory, "servers.json");
  }

  /**
   * Starts `kind`, unless it runs, and returns its URL. Data and ports of an earlier `up` are kept.
   *
   * @throws QmtlError SERVER_START_FAILED if it cannot be had or does not start.
   */
  async up(kind: ServerKind): Promise<string> {
    return await withLock(join(this.directory, `${kind}.lock`), async () => {
      const known = readState(this.#path).servers[kind];
      if (isRunning(known) && known.isReady) return known.url;
      // What an interrupted `up` left behind.
      if (isRunning(known)) await end(known);
      const server = await this.#start(kind, known);
      return server.url;
    });
  }

  /** Ends `kind` in order, or by force after 20 s; true if it ran. Data are kept. */
  async down(kind: ServerKind): Promise<boolean> {
    return await withLock(join(this.directory, `${kind}.lock`), async () => {
      const known = readState(this.#path).servers[kind];
      if (!isRunning(known)) return false;
      await end(known);
      await this.#save(kind, { ...known, processes: [], isReady: false });
      return true;
    });
  }

  /** How each server is doing, asked of the servers themselves. */
  async status(): Promise<readonly StackStatus[]> {
    const { servers } = readState(this.#path);
    return await Promise.all(serverKinds.map(async (kind) => await statusOf(kind, servers[kind])));
  }

  async #start(kind: ServerKind, known: StackEntry | undefined): Promise<Server> {
    const dataDir = join(this.directory, kind);
    const port = await portOr(known?.port ?? usualPorts[kind]);
    const extra =
      kind === "questdb"
        ? {
            pgPort: await portOr(known?.pgPort ?? questdbPgPort),
            ilpPort: await portOr(known?.ilpPort ?? questdbIlpPort),
          }
        : {};
    const entry: StackEntry = {
      url: `${kind}://127.0.0.1:${port}`,
      port,
      ...extra,
      dataDir,
      logPath: "",
      startedAtMs: systemClock.now(),
      isReady: false,
      processes: [],
    };
    const saves: Promise<void>[] = [];
    const server = await startOf[kind]({
      dataDir,
      port,
      ...extra,
      purpose: "work",
      isDetached: true,
      onSpawn: (pid) => {
        entry.processes.push({ pid, startTicks: startTicksOf(pid) ?? 0 });
        saves.push(this.#save(kind, entry));
      },
    });
    await Promise.all(saves);
    await this.#save(kind, { ...entry, logPath: server.logPath, isReady: true });
    return server;
  }

  /** The file is one for all servers, which may be started at the same time. */
  async #save(kind: ServerKind, entry: StackEntry): Promise<void> {
    await withLock(`${this.#path}.lock`, async () => {
      const state: StackState = readState(this.#path);
      writeState(this.#path, { ...state, servers: { ...state.servers, [kind]: entry } });
      await Promise.resolve();
    });
  }
}

const startOf: Record<ServerKind, (options: StartOptions) => Promise<Server>> = {
  kafka: startKafka,
  questdb: startQuestdb,
  redis: startRedis,
  neo4j: startNeo4j,
};

async function statusOf(kind: ServerKind, entry: StackEntry | undefined): Promise<StackStatus> {
  const isUp = isRunning(entry);
  const isAnswering = isUp && (await isListening(entry.port));
  const pids = isUp ? entry.processes.map((one) => one.pid) : [];
  return {
    kind,
    state: entry === undefined ? "absent" : stateOf(isUp, isAnswering),
    url: entry?.url,
    pids,
    upMs: isUp ? systemClock.now() - entry.startedAtMs : undefined,
    dataDir: entry?.dataDir,
    logPath: entry?.logPath,
  };
}

function stateOf(isUp: boolean, isAnswering: boolean): "up" | "silent" | "down" {
  if (!isUp) return "down";
  return isAnswering ? "up" : "silent";
}

/** Ends all processes of `entry`; resolves when they are gone. */
async function end(entry: StackEntry): Promise<void> {
  const signal = AbortSignal.timeout(stopMsMax);
  const alive = (): StackEntry["processes"] =>
    entry.processes.filter(({ pid, startTicks }) => isSameProcess(pid, startTicks));
  for (const { pid } of alive()) process.kill(pid, "SIGTERM");
  let isForced = false;
  while (alive().length > 0) {
    if (signal.aborted && !isForced) {
      isForced = true;
      for (const { pid } of alive()) process.kill(pid, "SIGKILL");
    }
    await systemClock.sleep(25, new AbortController().signal);
  }
}
