import { copyFileSync } from "node:fs";
import { openHistory } from "../../connectors/sqlite/index.ts";
import { kline, Strategy, StreamInput } from "../../nodes/index.ts";
import { runBacktest } from "./backtest-run.ts";
import { type ChildResult, spawnBun } from "./child-run.ts";
import { type JsonReport, parseReport } from "./json-report.ts";
import { untilTrue } from "./kill-rounds.ts";
import { contentsOf, type SeriesContents } from "./store-contents.ts";

/** Seed of the market; a store of made-up bars has a file of its own. */
const exchange = "simulated:5";
const symbols = ["BTCUSDT", "ETHUSDT"];
const start = "2024-01-01";
const end = "2024-05-01";

/** Bars of `start` to `end`, of both symbols. */
export const replayBars: number = (2 * (Date.parse(end) - Date.parse(start))) / 60_000;

class BarsOnly extends Strategy {
  setup() {
    this.addNodes([new StreamInput({ symbols, interval: "1m", period: 2, schema: kline })]);
  }
}

/** Fills a store with bars and nothing else; copies of it are what replays are run on. */
export async function fillBars(path: string): Promise<void> {
  const settings = { start, end, exchange, history: `sqlite:${path}` };
  await runBacktest({ strategy: BarsOnly, symbols, settings });
}

/** A replay of a strategy file over a copy of the bars. */
export interface ReplayCase {
  readonly file: string;
  readonly threads: number;
  /** Store of `fillBars`. */
  readonly bars: string;
  readonly directory: string;
}

/** What a replay came to. */
export interface ReplayOutcome {
  readonly nodes: JsonReport["nodes"];
  readonly contents: Readonly<Record<string, SeriesContents>>;
  readonly stderr: string;
}

/** One copy of the bars, and runs over it. */
export class ReplayRuns {
  readonly #case: ReplayCase;
  readonly #path: string;
  readonly #args: readonly string[];

  constructor(replay: ReplayCase, name: string, state: string) {
    this.#case = replay;
    this.#path = `${replay.directory}/${name}.db`;
    copyFileSync(`${replay.bars}.simulated`, `${this.#path}.simulated`);
    const range = ["--symbols", symbols.join(","), "--start", start, "--end", end];
    const stores = ["--history", `sqlite:${this.#path}`, "--state", state];
    const rest = ["--exchange", exchange, "--threads", String(replay.threads)];
    this.#args = [replay.file, ...range, ...stores, ...rest, "--json", "--no-progress"];
  }

  /** Starts a run, with further flags. */
  begin(...more: readonly string[]): Bun.Subprocess<"ignore", "pipe", "pipe"> {
    return spawnBun([...this.#args, ...more], { cwd: this.#case.directory });
  }

  /** A run to its end. */
  async finish(child = this.begin()): Promise<ReplayOutcome> {
    const [stdout, stderr, exitCode] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    const result: ChildResult = { exitCode, stdout, stderr };
    if (exitCode !== 0) throw new Error(`The run failed: ${JSON.stringify(result)}`);
    const url = `sqlite:${this.#path}`;
    const options = { mode: "read", isSimulated: true } as const;
    const store = await openHistory(url, options, AbortSignal.timeout(10_000));
    return { nodes: parseReport(stdout).nodes, contents: await contentsOf(store), stderr };
  }

  /**
   * Kills a run `pauseMs` after `isUnderWay`; false if it came to its end before: a void round.
   */
  async kill(isUnderWay: () => boolean | Promise<boolean>, pauseMs: number): Promise<boolean> {
    const child = this.begin();
    const hasBegun = await untilTrue(isUnderWay, () => child.exitCode !== null);
    await Bun.sleep(pauseMs);
    const isInFlight = hasBegun && child.exitCode === null;
    child.kill("SIGKILL");
    await child.exited;
    return isInFlight && child.signalCode === "SIGKILL";
  }
}

/** Bars that `stderr` says were not replayed again, over all shares. */
export function resumedBars(stderr: string): number {
  const told = stderr.matchAll(/^Going on from the checkpoint of \S+: (\d+) bars/gm);
  return [...told].reduce((sum, [, bars]) => sum + Number(bars), 0);
}
