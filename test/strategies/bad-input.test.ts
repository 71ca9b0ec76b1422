/**
 * Goal: whatever a user gets wrong ends in one line that says what was found and what was wanted,
 * a code, an exit code that is not 0, and a store as it was. Method: the program as it is started.
 */
import { Database } from "bun:sqlite";
import { beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { openHistory } from "qmtl/connectors/sqlite";
import { BinanceHistory } from "../../strategies/binance_history.ts";
import { runBacktest } from "../harness/backtest-run.ts";
import { binanceHistory, deadProxy, qmtl, runBun, spawnBun } from "../harness/child-run.ts";
import { scratchDirectory } from "../harness/scratch.ts";
import { bitsOf, readStore } from "../harness/stored-rows.ts";

setDefaultTimeout(30_000);
const directory = scratchDirectory();
const day = ["--start", "2025-01-01", "--end", "2025-01-02"];
/** A market of one recorded bar: it knows one symbol, and its clock stands at 2025-01-01T00:01. */
const market = join(directory, "market");
const offline = ["--exchange", "simulated"];

interface Outcome {
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly code: string;
  /** What the line says, beside the code. */
  readonly says: readonly string[];
}

beforeAll(() => {
  mkdirSync(market);
  const bar = "1735689600000,1,2,0.5,1.5,10,1735689659999,15,3,5,7.5";
  writeFileSync(join(market, "BTCUSDT-1m-one.csv"), `${bar}\n`);
});

async function expectRefused({ args, env = {}, code, says }: Outcome): Promise<void> {
  const run = { cwd: mkdtempSync(join(directory, "case-")), env };
  const { exitCode, stdout, stderr } = await runBun([binanceHistory, "--json", ...args], run);
  const line = stderr.trimEnd();
  expect([exitCode, stdout, line.split("\n").length]).toEqual([1, "", 1]);
  expect(line).toStartWith("qmtl: Cannot ");
  expect(line).toEndWith(`[${code}]`);
  for (const part of says) expect(line).toContain(part);
}

const refused: Readonly<Record<string, Outcome>> = {
  "an unknown symbol": {
    args: ["--exchange", `recorded:${market}`, "--symbols", "BTCUSDT,NOSUCH", ...day],
    code: "SYMBOL_UNKNOWN",
    says: ['"NOSUCH"', "wanted symbols it lists"],
  },
  "a lower-case symbol": {
    args: [...offline, "--symbols", "btcusdt", ...day],
    code: "SYMBOL_INVALID",
    says: ['found "btcusdt"', 'wanted "BTCUSDT"'],
  },
  "no symbol at all": {
    args: [...offline, "--symbols", ",", ...day],
    code: "CONFIG_INVALID",
    says: ["symbols"],
  },
  "a bad interval": {
    args: [...offline, "--interval", "7m", ...day],
    code: "CONFIG_INVALID",
    says: ['found "7m"', "wanted one of 1s 1m"],
  },
  "a start that is the end": {
    args: [...offline, "--start", "2025-01-02", "--end", "2025-01-02"],
    code: "RANGE_INVALID",
    says: ["2025-01-02T00:00:00.000Z", "not before the end"],
  },
  "a start that is no time": {
    args: [...offline, "--start", "yesterday"],
    code: "CONFIG_INVALID",
    says: ['found "yesterday"', "wanted an ISO time"],
  },
  "a range wholly in the future": {
    args: [
      "--exchange",
      `recorded:${market}`,
      "--symbols",
      "BTCUSDT",
      "--start",
      "2031-01-01",
      "--end",
      "2031-01-02",
    ],
    code: "RANGE_IN_FUTURE",
    says: ["2031-01-01", "last closed bar ends at 2025-01-01T00:01"],
  },
  "a range wholly in the future, the exchange unreachable": {
    args: ["--start", "2090-01-01", "--end", "2090-01-02"],
    env: deadProxy,
    code: "RANGE_IN_FUTURE",
    says: ["2090-01-01"],
  },
  "an unreachable exchange that was named": {
    args: day,
    env: { QMTL_BINANCE_URL: "http://127.0.0.1:9" },
    code: "EXCHANGE_UNREACHABLE",
    says: ["127.0.0.1:9", "wanted an answer"],
  },
  "an address that is none": {
    args: day,
    env: { QMTL_BINANCE_URL: "somewhere" },
    code: "CONFIG_INVALID",
    says: ["binanceUrl"],
  },
  "an unknown exchange": {
    args: ["--exchange", "nyse", ...day],
    code: "CONFIG_INVALID",
    says: ['found "nyse"', "wanted auto, binance, simulated"],
  },
  "a folder of recordings that is not there": {
    args: ["--exchange", "recorded:nowhere", ...day],
    code: "RECORDED_DATA_INVALID",
    says: ["nowhere", "wanted a folder"],
  },
  "no threads": {
    args: [...offline, "--threads", "0", ...day],
    code: "CONFIG_INVALID",
    says: ["threads"],
  },
  "an unknown flag": {
    args: ["--frobnicate"],
    code: "CONFIG_INVALID",
    says: ["'--frobnicate'", "--help lists the flags"],
  },
  "a word that is no flag": {
    args: ["BTCUSDT"],
    code: "CONFIG_INVALID",
    says: ["'BTCUSDT'", "--help lists the flags"],
  },
  "a flag without its value": {
    args: ["--symbols"],
    code: "CONFIG_INVALID",
    says: ["--symbols"],
  },
  "an unknown variable QMTL_*": {
    args: [],
    env: { QMTL_HISTROY: "sqlite:x.db" },
    code: "CONFIG_INVALID",
    says: ["QMTL_HISTROY: unknown environment variable"],
  },
  "a symbols file that is not there": {
    args: ["--symbols-file", "nowhere.txt"],
    code: "CONFIG_INVALID",
    says: ['"nowhere.txt"', "no such file", "wanted"],
  },
  "a store of an unknown scheme": {
    args: [...offline, "--history", "mysql:x", ...day],
    code: "CONFIG_INVALID",
    says: ['scheme "mysql"', "wanted one of"],
  },
  "a store without a path": {
    args: [...offline, "--history", "sqlite:", ...day],
    code: "CONFIG_INVALID",
    says: ["wanted the path of a file"],
  },
};

for (const [name, outcome] of Object.entries(refused)) {
  test.concurrent(`${name} is refused in one line`, async () => await expectRefused(outcome));
}

test("a corrupt store is refused and left as it is", async () => {
  const text = "this is no database, but a long enough file to look like one\n".repeat(400);
  writeFileSync(join(directory, "corrupt.db"), text);
  await expectRefused({
    args: ["--exchange", `recorded:${market}`, "--history", `sqlite:${directory}/corrupt.db`],
    code: "STORE_CORRUPT",
    says: ["corrupt.db", "wanted"],
  });
  expect(readFileSync(join(directory, "corrupt.db"), "utf8")).toBe(text);
});

test("a store of a format that is not known is refused and left as it is", async () => {
  const path = join(directory, "future.db");
  await (await openHistory(`sqlite:${path}`, writing, AbortSignal.timeout(5_000))).close();
  const database = new Database(path);
  database.run("PRAGMA user_version = 999");
  database.run("PRAGMA wal_checkpoint(TRUNCATE)");
  database.close();
  const before = readFileSync(path);
  await expectRefused({
    args: ["--exchange", `recorded:${market}`, "--history", `sqlite:${directory}/future.db`],
    code: "STORE_VERSION_UNKNOWN",
    says: ["it has format 999, wanted 1"],
  });
  expect(readFileSync(path).equals(before)).toBe(true);
});

const writing = { mode: "write", isSimulated: false } as const;

test("a second writer is refused, the first is not disturbed", async () => {
  const path = join(directory, "shared.db");
  const first = await openHistory(`sqlite:${path}`, writing, AbortSignal.timeout(5_000));
  await expectRefused({
    args: ["--exchange", `recorded:${market}`, "--history", `sqlite:${directory}/shared.db`],
    code: "STORE_LOCKED",
    says: ["another writer has it open", "wanted one writer"],
  });
  await first.close();
  const { exitCode } = await runBun(
    [
      binanceHistory,
      "--exchange",
      `recorded:${market}`,
      "--history",
      `sqlite:${directory}/shared.db`,
    ].concat(["--symbols", "BTCUSDT"]),
    { cwd: directory },
  );
  expect(exitCode).toBe(0);
});

test("a store that may not be written is refused", async () => {
  // Permissions do not bind root: there the program runs as nobody.
  const wrap = process.getuid?.() === 0 ? ["setpriv", "--reuid=65534", "--clear-groups"] : [];
  if (wrap[0] !== undefined && Bun.which(wrap[0]) === null) {
    console.warn("skipped, root without setpriv: a store that may not be written is refused");
    return;
  }
  chmodSync(directory, 0o755);
  const path = join(directory, "read-only.db");
  await (await openHistory(`sqlite:${path}`, writing, AbortSignal.timeout(5_000))).close();
  chmodSync(path, 0o444);
  const { exitCode, stderr } = await runBun(
    [binanceHistory, "--exchange", `recorded:${market}`, "--history", `sqlite:${path}`],
    { cwd: directory, wrap },
  );
  expect([exitCode, stderr.trimEnd().split("\n")]).toEqual([
    1,
    [expect.stringMatching(/^qmtl: Cannot .*read-only\.db.*, wanted .*\[STORE_READ_ONLY\]$/)],
  ]);
});

test("a full store: one line, what fits is whole, and a run with room completes it", async () => {
  const path = join(directory, "full.db");
  const range = ["--start", "2025-01-01", "--end", "2025-01-06", "--symbols", "BTCUSDT"];
  const exchange = ["--exchange", "simulated:9"];
  await expectRefused({
    args: [
      ...exchange,
      ...range,
      "--no-progress",
      "--history",
      `sqlite:${directory}/full.db?bytesMax=400000`,
    ],
    code: "STORE_FULL",
    says: ["full.db.simulated", "wanted free space"],
  });
  await runBun([binanceHistory, ...exchange, ...range, "--history", "sqlite:full.db"], {
    cwd: directory,
  });
  const { report } = await runBacktest({
    strategy: BinanceHistory,
    symbols: ["BTCUSDT"],
    settings: {
      start: "2025-01-01",
      end: "2025-01-06",
      exchange: "simulated:9",
      history: `sqlite:${join(directory, "roomy.db")}`,
    },
  });
  const own = await readStore(`${path}.simulated`);
  const wanted = await readStore(join(directory, "roomy.db.simulated"));
  expect(report.streams[0]?.rows).toBe(7_200);
  for (const [id, { rows }] of wanted) expect(bitsOf(own.get(id)!.rows)).toBe(bitsOf(rows));
});

test("SIGINT ends a run at once with exit code 130 and one line", async () => {
  const child = spawnBun(
    [binanceHistory, "--exchange", "simulated:4", "--start", "2023-01-01", "--no-progress"].concat([
      "--history",
      "sqlite:interrupted.db",
    ]),
    { cwd: directory },
  );
  const store = join(directory, "interrupted.db.simulated-wal");
  while (!existsSync(store)) await Bun.sleep(5);
  child.kill("SIGINT");
  const stderr = await new Response(child.stderr).text();
  expect([await child.exited, await new Response(child.stdout).text()]).toEqual([130, ""]);
  const last = stderr.trimEnd().split("\n").at(-1);
  expect(last).toBe("qmtl: Cannot go on: interrupted; what was fetched is stored [ABORTED]");
});

test("a command that is not there, or lacks its file, says so", async () => {
  const missing = await runBun([qmtl, "run", "nowhere.ts"], { cwd: directory });
  expect(missing).toEqual({
    exitCode: 1,
    stdout: "",
    stderr: 'qmtl: Cannot run "nowhere.ts": there is no such file, wanted a strategy\n',
  });
  const unknown = await runBun([qmtl, "frobnicate"], { cwd: directory });
  expect([unknown.exitCode, unknown.stderr.trim()]).toEqual([
    1,
    expect.stringContaining("frobnicate"),
  ]);
});
