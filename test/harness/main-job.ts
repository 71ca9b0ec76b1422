import { openHistory as openQuestdb } from "../../connectors/questdb/index.ts";
import { type ExchangeSimulator } from "../../connectors/simulated/index.ts";
import { openHistory as openSqlite } from "../../connectors/sqlite/index.ts";
import { binanceHistory, spawnBun } from "./child-run.ts";
import { type JsonReport, parseReport } from "./json-report.ts";
import { contentsOf, type SeriesContents } from "./store-contents.ts";

/** The main job as a user starts it, over an exchange that a test serves. */
export interface MainJob {
  /** Without: what `more` names. */
  readonly exchangeUrl?: string;
  readonly history: string;
  readonly state?: string;
  readonly start: number;
  readonly end: number;
  readonly symbols?: string;
  readonly directory: string;
  readonly more?: readonly string[];
}

/** What it came to. */
export interface MainJobOutcome {
  readonly report: JsonReport;
  readonly stderr: string;
}

/** Starts it. */
export function beginMainJob(job: MainJob): Bun.Subprocess<"ignore", "pipe", "pipe"> {
  const {
    exchangeUrl,
    history,
    state = "memory:",
    start,
    end,
    symbols,
    directory,
    more = [],
  } = job;
  const stores = ["--history", history, "--state", state];
  const range = ["--start", String(start), "--end", String(end)];
  const which = ["--symbols", symbols ?? "BTCUSDT,ETHUSDT"];
  const args = [binanceHistory, ...which, ...range, ...stores, ...more, "--json", "--no-progress"];
  const env = exchangeUrl === undefined ? {} : { QMTL_BINANCE_URL: exchangeUrl };
  return spawnBun(args, { cwd: directory, env });
}

/** Waits for its end. @throws Error if it failed. */
export async function endOfMainJob(
  child: Bun.Subprocess<"ignore", "pipe", "pipe">,
): Promise<MainJobOutcome> {
  const [stdout, stderr, exitCode] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (exitCode !== 0) throw new Error(`The main job ended with ${exitCode}: ${stderr}`);
  return { report: parseReport(stdout), stderr };
}

/** All that the history at `url` holds. */
export async function contentsAt(
  url: string,
  isSimulated = false,
): Promise<Readonly<Record<string, SeriesContents>>> {
  const open = url.startsWith("questdb:") ? openQuestdb : openSqlite;
  const options = { mode: "read", isSimulated } as const;
  return await contentsOf(await open(url, options, AbortSignal.timeout(30_000)));
}

/** First open times of the pages that were asked for, by symbol, in order. */
export function pagesAsked(
  { requests }: ExchangeSimulator,
  symbol: string,
  since = 0,
): readonly number[] {
  return requests
    .slice(since)
    .filter(({ path, query }) => path.endsWith("/klines") && query["symbol"] === symbol)
    .map(({ query }) => Number(query["startTime"]));
}

/** Rows of all row tables of a QuestDB with `prefix`, counted by the server itself. */
export async function rowsInQuestdb(port: number, prefix: string): Promise<number> {
  const tables = await ask(
    port,
    `SELECT table_name FROM tables() WHERE table_name LIKE '${prefix}%'`,
  );
  let rows = 0;
  for (const [name] of tables) {
    const columns = await ask(port, `SELECT "column" FROM table_columns('${String(name)}')`);
    if (!columns.some(([column]) => column === "seq")) continue;
    if (String(name).includes("dead")) continue;
    rows += Number((await ask(port, `SELECT count() FROM "${String(name)}"`))[0]?.[0]);
  }
  return rows;
}

async function ask(port: number, sql: string): Promise<readonly (readonly unknown[])[]> {
  const answer = await fetch(`http://127.0.0.1:${port}/exec?query=${encodeURIComponent(sql)}`);
  const { dataset = [] } = (await answer.json()) as { readonly dataset?: readonly unknown[][] };
  return dataset;
}
