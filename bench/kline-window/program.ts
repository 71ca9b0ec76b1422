import { readFileSync } from "node:fs";
import { join } from "node:path";

const here = import.meta.dir;

/** A program that does the work and prints one line of it. */
export interface Program {
  readonly name: string;
  readonly command: readonly string[];
  /** Environment beside the work's own. */
  readonly env?: Readonly<Record<string, string>>;
}

/** One run: TOPIC, N, OUT, MODE, SKIP of the protocol. */
export interface WorkOrder {
  readonly broker: string;
  readonly topic: string;
  readonly out: string;
  readonly records: number;
  /** Given: the run is for latency, and the first so many records are left out. */
  readonly skip?: number;
}

/** What a run came to. */
export interface RunResult {
  readonly records: number;
  readonly signals: number;
  /** Seconds from just before the first poll, and from the first record, to the last; NaN in a latency run. */
  readonly seconds: number;
  readonly secondsFromFirst: number;
  /** User and system time of the process and its children, from start to end. */
  readonly cpuSeconds: number;
  /** Peak resident memory. */
  readonly rssMb: number;
  /** Latency, ms; NaN in a run for rate. */
  readonly p50: number;
  readonly p99: number;
}

const runMsMax = 300_000;
const rssEveryMs = 25;

const bunProgram = (name: string, file: string, env: Readonly<Record<string, string>> = {}) => ({
  name,
  command: [process.execPath, join(here, file)],
  env,
});

/** The strategy through `Runner.live`, on `threads` threads, with checkpoints if `state` is given. */
export function ours(name: string, options: OursOptions = {}): Program {
  const { threads = 1, state, isHeavy = false } = options;
  return bunProgram(name, isHeavy ? "heavy-window.ts" : "kline-window.ts", {
    THREADS: String(threads),
    ...(state === undefined ? {} : { STATE: state }),
  });
}

/** How our own program runs. */
export interface OursOptions {
  readonly threads?: number;
  readonly state?: string;
  readonly isHeavy?: boolean;
}

/** Plain consumer loops on Bun with what npm has. */
export const bunPeers: readonly Program[] = [
  bunProgram("@platformatic/kafka loop", "peers/platformatic.ts"),
  bunProgram("kafkajs loop", "peers/kafkajs.ts"),
];

/** Fetches everything and looks at nothing. */
export const fetchOnly: Program = bunProgram("fetch, not looked at", "peers/fetch-only.ts");

/**
 * Programs of other runtimes: folders of `PEERS_DIR` with a `run.sh HOST:PORT`, named in `PEERS`
 * by commas, each with environment of its own after colons: `go-franz,kafka-streams:LOGGING=0`.
 */
export function foreignPeers(environment: NodeJS.ProcessEnv = process.env): readonly Program[] {
  const { PEERS_DIR: folder, PEERS: names = "" } = environment;
  if (folder === undefined) return [];
  return names
    .split(",")
    .filter((name) => name !== "")
    .map((name) => {
      const [peer = "", ...settings] = name.split(":");
      const env: Record<string, string> = {};
      for (const setting of settings) {
        const [key = "", value = ""] = setting.split("=", 2);
        env[key] = value;
      }
      return { name, command: [join(folder, peer, "run.sh")], env };
    });
}

/**
 * Runs a program to its end. `meanwhile` is called once it has been started.
 *
 * @throws Error if it fails, prints no result or takes longer than 5 minutes.
 */
export async function runProgram(
  program: Program,
  order: WorkOrder,
  signal: AbortSignal,
  meanwhile?: () => Promise<void>,
): Promise<RunResult> {
  // A group of its own: a shell script's children end with it.
  const child = Bun.spawn([...program.command, order.broker], {
    env: { ...process.env, ...environmentOf(order), ...program.env },
    detached: true,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const stop = (): void => {
    if (child.exitCode === null && child.signalCode === null) process.kill(-child.pid, "SIGKILL");
  };
  const timer = setTimeout(stop, runMsMax);
  signal.addEventListener("abort", stop, { once: true });
  let rssMb = 0;
  const meter = setInterval(() => {
    rssMb = Math.max(rssMb, peakRssMb(child.pid));
  }, rssEveryMs);
  try {
    const output = new Response(child.stdout).text();
    const errors = new Response(child.stderr).text();
    await meanwhile?.();
    const exitCode = await child.exited;
    signal.throwIfAborted();
    const figures = figuresIn(await output);
    if (exitCode === 0 && figures !== undefined) {
      const cpuUs = Number(child.resourceUsage()?.cpuTime.total ?? Number.NaN);
      return resultOf(figures, { cpuSeconds: cpuUs / 1e6, rssMb });
    }
    throw new Error(
      `Cannot measure "${program.name}": it ended with ${exitCode}, wanted a RESULT line. ${(await errors).slice(-2_000)}`,
    );
  } finally {
    clearInterval(meter);
    clearTimeout(timer);
    signal.removeEventListener("abort", stop);
    stop();
  }
}

/** The figures of the last line that has some: `RESULT msgs=…`, or what a meter around it prints. */
export function figuresIn(output: string): ReadonlyMap<string, number> | undefined {
  const line = output.split("\n").findLast((text) => /(RESULT|peer=\S+) msgs=/.test(text));
  const pairs = line?.matchAll(/(\w+)=([\d.]+)/g);
  return pairs === undefined
    ? undefined
    : new Map(Array.from(pairs, ([, name = "", value]) => [name, Number(value)]));
}

function environmentOf({ topic, out, records, skip }: WorkOrder): Record<string, string> {
  return {
    TOPIC: topic,
    OUT: out,
    N: String(records),
    MODE: skip === undefined ? "rate" : "latency",
    SKIP: String(skip ?? 0),
    // As a user runs it: without the checks of development.
    NODE_ENV: "production",
  };
}

/** A meter of the program's own knows more than we do: the script around it is not the work. */
function resultOf(
  figures: ReadonlyMap<string, number>,
  seen: Pick<RunResult, "cpuSeconds" | "rssMb">,
): RunResult {
  const figure = (name: string): number => figures.get(name) ?? Number.NaN;
  const records = figure("msgs");
  return {
    records,
    signals: figure("signals"),
    seconds: figure("secs"),
    secondsFromFirst: figures.get("secs_first") ?? records / figure("rate_first"),
    cpuSeconds: figures.get("cpu_s") ?? seen.cpuSeconds,
    rssMb: figures.get("rss_mb") ?? seen.rssMb,
    p50: figure("p50_ms"),
    p99: figure("p99_ms"),
  };
}

/** Peak resident memory so far of a process that runs, MB; 0 once it is gone. */
function peakRssMb(pid: number): number {
  try {
    const [, kb = "0"] = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
    return Number(kb) / 1_024;
  } catch {
    return 0; // It has ended.
  }
}
