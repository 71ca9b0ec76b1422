/**
 * Goal: every fault of the simulated exchange is survived by the whole job, or ends in one line.
 * Method: the program as a user starts it against a simulator on loopback; the store afterwards is
 * compared with that of a run without faults.
 */
import { beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { BinanceHistory } from "../../strategies/binance_history.ts";
import { runBacktest } from "../harness/backtest-run.ts";
import { binanceHistory, deadProxy, runBun } from "../harness/child-run.ts";
import { parseReport } from "../harness/json-report.ts";
import { scratchDirectory } from "../harness/scratch.ts";
import { type ClientSettings, exchangeAt, servedExchange } from "../harness/served-exchange.ts";
import { bitsOf, readStore } from "../harness/stored-rows.ts";

const hour = 3_600_000;
/** Waits of the real client, on a busy machine. */
setDefaultTimeout(30_000);
const directory = scratchDirectory();
const end = Date.UTC(2025, 4, 1);
const start = end - 72 * hour;
const bars = 72 * 60;
const range = ["--start", String(start), "--end", String(end)];
const clean = join(directory, "clean.db");

async function serve(faults: readonly string[] = []) {
  return await servedExchange({
    source: { kind: "generated", seed: 5 },
    serverTimeMs: end + hour,
    faults: [...faults],
  });
}

/** The program against `url`, for BTCUSDT. */
async function runMain(url: string, name: string, more: readonly string[] = range) {
  const store = ["--history", `sqlite:${join(directory, name)}`];
  return await runBun([binanceHistory, "--symbols", "BTCUSDT", ...store, "--json", ...more], {
    cwd: directory,
    env: { QMTL_BINANCE_URL: url },
  });
}

/** The main job in this process, with the client's waits cut short. */
async function runHere(url: string, name: string, settings: ClientSettings = {}) {
  return await runBacktest({
    strategy: BinanceHistory,
    symbols: ["BTCUSDT"],
    // Named, so that nothing stands in for it where this machine is slow.
    settings: { start, end, history: `sqlite:${join(directory, name)}`, binanceUrl: url },
    connectors: exchangeAt(url, { backoffMsBase: 5, ...settings }),
  });
}

async function expectClean(name: string) {
  const [own, wanted] = [await readStore(join(directory, name)), await readStore(clean)];
  expect([...own.keys()].toSorted()).toEqual([...wanted.keys()].toSorted());
  for (const [id, { rows }] of wanted) expect(bitsOf(own.get(id)!.rows)).toBe(bitsOf(rows));
}

beforeAll(async () => {
  await using simulator = await serve();
  await runHere(simulator.url, "clean.db");
});

for (const [name, fault, status] of [
  ["a broken rate limit (429)", "429:times=1,retryAfter=1,path=klines", 429],
  ["a ban (418)", "418:times=1,retryAfter=1,path=klines", 418],
  ["internal errors (500)", "500:every=2,path=klines", 500],
  ["a broken gateway (502, HTML)", "502:every=3,times=2,path=klines", 502],
  ["bodies cut in half", "cut:every=2,path=klines", 200],
  ["200 with a page of HTML", "html:every=3,path=klines", 200],
  ["rows without a close price", "malformed:every=3,path=klines", 200],
  ["times in µs", "us:every=2,path=klines", 200],
  ["5 s without a byte", "stall:times=1,path=klines", 0],
] as const) {
  // They wait for seconds each: side by side.
  test.concurrent(`${name}: the job goes on and stores the same rows and outputs`, async () => {
    await using simulator = await serve([fault]);
    const file = `${fault.replaceAll(/\W+/g, "-")}.db`;
    const { exitCode, stdout } = await runMain(simulator.url, file);
    expect(exitCode).toBe(0);
    expect(parseReport(stdout).streams[0]).toMatchObject({ rows: bars, missing: [] });
    expect(simulator.requests.some((request) => request.status === status)).toBe(true);
    expect(simulator.weight.earlyCount).toBe(0);
    await expectClean(file);
  });
}

test.concurrent("a wait for the exchange's limit is told in a line", async () => {
  await using simulator = await serve(["429:times=1,retryAfter=1,path=klines"]);
  const { stderr } = await runMain(simulator.url, "told.db");
  expect(stderr).toMatch(/answered HTTP 429 .*all requests wait for 1 s/);
});

for (const [name, fault] of [
  ["an answer that never comes", "stall:times=2,path=klines"],
  ["an answer that stops halfway", "stall-body:times=2,path=klines"],
  ["a security block in the middle (403, HTML)", "403:times=1,path=klines"],
] as const) {
  test.concurrent(`${name}: waited for, asked again`, async () => {
    await using simulator = await serve([fault]);
    const file = `${fault.replaceAll(/\W+/g, "-")}.db`;
    const waits = { silenceMsMax: 1_000, blockedMs: 50 };
    const { report } = await runHere(simulator.url, file, waits);
    expect(report.streams[0]).toMatchObject({ rows: bars, missing: [] });
    await expectClean(file);
  });
}

test("gaps are stored as confirmed empty, and not asked for again", async () => {
  await using simulator = await serve(["gaps:every=97"]);
  const first = parseReport((await runMain(simulator.url, "gaps.db")).stdout);
  const asked = simulator.requests.length;
  const second = parseReport((await runMain(simulator.url, "gaps.db")).stdout);
  expect(simulator.requests.length).toBe(asked);
  const empty = first.streams[0]?.confirmedEmpty ?? [];
  expect(empty.length).toBeGreaterThan(40);
  for (const [from, to] of empty) {
    expect([to - from, (from / 60_000) % 97]).toEqual([60_000, 0]);
  }
  expect(first.streams[0]?.rows).toBe(bars - empty.length);
  expect(second.streams[0]).toMatchObject({ fetched: 0, requests: 0, confirmedEmpty: empty });
  expect(second.nodes).toEqual(first.nodes);
});

test("a bar that is still open is never stored", async () => {
  await using simulator = await serve(["open"]);
  const now = end + hour + 30_000;
  simulator.setServerTime(now);
  const report = parseReport((await runMain(simulator.url, "open.db", range.slice(0, 2))).stdout);
  expect(report.end).toBe(end + hour);
  const stored = (await readStore(join(directory, "open.db"))).get(report.streams[0]!.nodeId);
  expect(stored?.rows.at(-1)?.[0]).toBe(end + hour - 60_000);
  expect(stored?.rows.every((row) => row[6]! < now)).toBe(true);
});

for (const [name, fault, wanted] of [
  ["a security block (403, HTML)", "403", /security filter blocks .*403.*\[EXCHANGE_RESTRICTED\]/],
  ["a restricted location (451)", "451", /does not serve this location.*\[EXCHANGE_RESTRICTED\]/],
  ["a ban of an hour (418)", "418:retryAfter=3600", /banned for 3600 s.*\[EXCHANGE_BANNED\]/],
] as const) {
  test(`${name} at the start of a named exchange ends in one line and exit code 1`, async () => {
    await using simulator = await serve([fault]);
    const { exitCode, stdout, stderr } = await runMain(simulator.url, "refused.db");
    expect([exitCode, stdout]).toEqual([1, ""]);
    expect(stderr.trimEnd().split("\n")).toEqual([expect.stringMatching(wanted)]);
    expect(existsSync(join(directory, "refused.db.simulated"))).toBe(false);
  });
}

test("an exchange that can't be reached: simulated bars in a store of their own, told in one line", async () => {
  const store = join(directory, "offline.db");
  const args = [binanceHistory, "--history", `sqlite:${store}`, "--json", "--no-progress"];
  const run = { cwd: directory, env: deadProxy };
  const { exitCode, stdout, stderr } = await runBun(args, run);
  expect(exitCode).toBe(0);
  const report = parseReport(stdout);
  expect(report).toMatchObject({
    exchange: "simulated",
    simulated: true,
    history: `sqlite:${store}.simulated`,
  });
  expect(report.streams.map(({ symbol, rows, missing }) => [symbol, rows, missing])).toEqual([
    ["BTCUSDT", bars, []],
    ["ETHUSDT", bars, []],
  ]);
  expect(stderr.trimEnd().split("\n")).toEqual([
    expect.stringMatching(/can't be reached \(.*data-api\.binance\.vision.*SIMULATED bars/),
  ]);
  expect([...(await readStore(store)).keys()]).toEqual([]);
  expect((await readStore(`${store}.simulated`)).size).toBe(8);
});

test("recorded bars lie in a store of their own unless one is named: what a recording lacks may be there", async () => {
  const [cwd, market] = [join(directory, "recording"), join(directory, "recording", "market")];
  mkdirSync(market, { recursive: true });
  const bar = (minute: number): string => {
    const open = Date.UTC(2025, 0, 1) + minute * 60_000;
    return `${open},1,2,0.5,1.5,10,${open + 59_999},15,3,5,7.5\n`;
  };
  writeFileSync(join(market, "BTCUSDT-1m-one.csv"), bar(0) + bar(2));
  const args = ["--exchange", `recorded:${market}`, "--symbols", "BTCUSDT", "--json"];
  const { stdout } = await runBun([binanceHistory, ...args, "--start", "2025-01-01"], { cwd });
  const report = parseReport(stdout);
  expect(report.history).toBe("sqlite:.qmtl/history.db.recorded");
  expect(report.streams[0]).toMatchObject({ rows: 2, missing: [] });
  expect(existsSync(join(cwd, ".qmtl/history.db"))).toBe(false);
});

test("--exchange binance and a set QMTL_BINANCE_URL never fall back", async () => {
  const store = join(directory, "named.db");
  const args = [binanceHistory, "--history", `sqlite:${store}`, "--json", "--no-progress"];
  const runs = [
    await runBun([...args, "--exchange", "binance"], { cwd: directory, env: deadProxy }),
    await runBun(args, { cwd: directory, env: { QMTL_BINANCE_URL: "http://127.0.0.1:9" } }),
  ];
  for (const { exitCode, stdout, stderr } of runs) {
    expect([exitCode, stdout]).toEqual([1, ""]);
    expect(stderr.trimEnd().split("\n")).toEqual([
      expect.stringMatching(/^qmtl: Cannot reach the exchange at .*\[EXCHANGE_UNREACHABLE\]$/),
    ]);
  }
  expect(existsSync(`${store}.simulated`)).toBe(false);
});

test("stored bars are used where the exchange can't be reached, and what is missing is listed", async () => {
  const store = join(directory, "stored.db");
  await using simulator = await serve();
  await runMain(simulator.url, "stored.db");
  const later = ["--start", String(start), "--end", String(end + hour)];
  const args = [binanceHistory, "--symbols", "BTCUSDT", "--history", `sqlite:${store}`, "--json"];
  const run = { cwd: directory, env: deadProxy };
  const { exitCode, stdout, stderr } = await runBun([...args, "--no-progress", ...later], run);
  expect(exitCode).toBe(0);
  expect(stderr).toMatch(/can't be reached .*stored bars are used, what is missing is listed/);
  const report = parseReport(stdout);
  expect([report.simulated, report.exchange]).toEqual([false, "none"]);
  expect(report.streams[0]).toMatchObject({ rows: bars, missing: [[end, end + hour]] });
  // The table lists it too.
  const table = await runBun([...args.slice(0, -1), ...later], run);
  expect(table.stdout).toContain("missing BTCUSDT 1m 2025-05-01 00:00 → 2025-05-01 01:00");
  // All of it stored: the exchange is not even asked.
  const covered = await runBun([...args, ...range], run);
  expect(covered.exitCode).toBe(0);
  expect(covered.stderr).not.toContain("reached");
});
