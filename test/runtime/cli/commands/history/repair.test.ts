/**
 * Goal: a store with holes says where they are, and a repair settles them. Method: a short
 * backfill of a simulated exchange that leaves bars out, and a CSV file with a part missing; then
 * the commands, as a user types them.
 */
import { beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { BinanceHistory } from "../../../../../strategies/binance_history.ts";
import { runBacktest } from "../../../../harness/backtest-run.ts";
import { qmtl, runBun } from "../../../../harness/child-run.ts";
import { scratchDirectory } from "../../../../harness/scratch.ts";
import { exchangeAt, servedExchange } from "../../../../harness/served-exchange.ts";

setDefaultTimeout(30_000);
const cwd = scratchDirectory();
const store = `sqlite:${join(cwd, "history.db")}`;
const minuteMs = 60_000;
const start = Date.UTC(2025, 0, 1);
const iso = (minute: number): string => new Date(start + minute * minuteMs).toISOString();

interface Found {
  readonly nodeId: string;
  readonly name?: string;
  readonly have?: readonly { readonly start: number; readonly end: number }[];
  readonly empty?: readonly { readonly start: number; readonly end: number }[];
  readonly missing?: readonly { readonly start: number; readonly end: number }[];
}

async function history(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  return await runBun([qmtl, "history", ...args, "--history", store], { cwd, env });
}

async function foundBy(...args: readonly string[]): Promise<readonly Found[]> {
  const { exitCode, stdout, stderr } = await history([...args, "--json"]);
  expect([exitCode, stderr]).toEqual([0, ""]);
  return JSON.parse(stdout) as readonly Found[];
}

/** `[start, start + 60 min)` and `[start + 90 min, start + 150 min)` of BTCUSDT. */
beforeAll(async () => {
  await using exchange = await servedExchange({ source: { kind: "generated", seed: 7 } });
  for (const [from, to] of [
    [0, 60],
    [90, 150],
  ] as const) {
    await runBacktest({
      strategy: BinanceHistory,
      symbols: ["BTCUSDT"],
      settings: { start: iso(from), end: iso(to), history: store },
      connectors: exchangeAt(exchange.url),
    });
  }
});

const stream = ["--symbol", "BTCUSDT", "--node", "bars"];

test("history coverage prints what is had and what is confirmed empty", async () => {
  const { exitCode, stdout, stderr } = await history(["coverage", ...stream]);
  expect([exitCode, stderr]).toEqual([0, ""]);
  expect(stdout).toMatch(/^BTCUSDT {2}1m {2}bars {2}[0-9a-f]{32}\n/);
  expect(stdout).toMatch(new RegExp(`have +${iso(0)} +${iso(60)} +60 bars`));
  expect(stdout).toMatch(new RegExp(`have +${iso(90)} +${iso(150)} +60 bars`));
  const [found] = await foundBy("coverage", ...stream);
  expect(found?.have).toEqual([
    { start: start, end: start + 60 * minuteMs },
    { start: start + 90 * minuteMs, end: start + 150 * minuteMs },
  ]);
});

test("history list shows nodes by name too", async () => {
  const names = (await foundBy("list")).map(({ name }) => name);
  expect(names).toContain("bars");
  expect(names).toContain("sma");
});

// In order: the gaps of before and after the repair.
test("history gaps prints what is missing, repair fetches it, and gaps prints none", async () => {
  const missing = { start: start + 60 * minuteMs, end: start + 90 * minuteMs };
  expect(await foundBy("gaps", ...stream)).toMatchObject([{ empty: [], missing: [missing] }]);
  const before = await history(["gaps", ...stream]);
  expect(before.stdout).toMatch(new RegExp(`missing +${iso(60)} +${iso(90)} +30 bars`));

  // The exchange has no bar in every 10th slot.
  await using exchange = await servedExchange({
    source: { kind: "generated", seed: 7 },
    faults: ["gaps:every=10"],
  });
  const env = { QMTL_BINANCE_URL: exchange.url };
  const repaired = await history(["repair"], env);
  expect([repaired.exitCode, repaired.stderr]).toEqual([0, ""]);
  expect(repaired.stdout).toBe(
    "BTCUSDT 1m: 27 bars fetched, 3 bars confirmed empty, 0 bars still missing\n",
  );

  const [after] = await foundBy("gaps", ...stream);
  expect(after?.missing).toEqual([]);
  expect(after?.empty).toHaveLength(3);
  for (const hole of after?.empty ?? []) expect(hole.end - hole.start).toBe(minuteMs);
  const text = await history(["gaps", ...stream]);
  expect(text.stdout.match(/confirmed empty .* 1 bar$/gm)).toHaveLength(3);
  const again = await history(["repair", "--json"], env);
  expect(JSON.parse(again.stdout)).toMatchObject([{ fetched: 0, requests: 0, missing: [] }]);
});

test("history repair takes --start and --end beyond the stored bars", async () => {
  await using exchange = await servedExchange({ source: { kind: "generated", seed: 7 } });
  const range = ["--start", iso(-10), "--end", iso(170)];
  const { stdout } = await history(["repair", ...range], { QMTL_BINANCE_URL: exchange.url });
  expect(stdout).toStartWith("BTCUSDT 1m: 30 bars fetched, 0 bars confirmed empty");
});

test("history export chooses a node by its name or ID, as CSV and as JSON", async () => {
  const ids = await foundBy("list");
  const id = ids.find(({ name }) => name === "sma")?.nodeId ?? "";
  const byName = await history(["export", "--symbol", "BTCUSDT", "--node", "sma"]);
  const byId = await history(["export", "--node", id]);
  expect(byName.stdout).toStartWith("ts,sma\n");
  expect(byName.stdout).toBe(byId.stdout);
  const json = await history(["export", "--node", "sma", "--format", "json"]);
  const rows = JSON.parse(json.stdout) as readonly { ts: number; sma: number }[];
  const lines = byName.stdout.trimEnd().split("\n").slice(1);
  expect(rows.length).toBe(lines.length);
  expect(rows.map(({ ts, sma }) => `${ts},${sma}`)).toEqual(lines);
});

test("history says what it cannot do in one line", async () => {
  for (const [args, says] of [
    [["export", "--node", "nosuch"], "0 nodes match"],
    [["export", ...stream, "--format", "xml"], 'found --format "xml", wanted csv or json'],
    [["export", ...stream, "--start", iso(9), "--end", iso(3)], "wanted start < end"],
    [["gaps", "--symbol", "NOSUCH"], "0 nodes match"],
    [["repair", "--node", "sma"], "none of the nodes is a stream"],
    [["repair", "--exchange", "simulated:7"], "wanted --simulated beside it"],
    [["repair", "--exchange", "binance"], "[EXCHANGE_UNREACHABLE]"],
  ] as const) {
    const env = { QMTL_BINANCE_URL: "http://127.0.0.1:9" };
    const { exitCode, stdout, stderr } = await history(args, env);
    expect([exitCode, stdout, stderr.trimEnd().split("\n").length]).toEqual([1, "", 1]);
    expect(stderr).toContain(says);
  }
  const none = join(cwd, "none.db");
  const repaired = await runBun([qmtl, "history", "repair", "--history", `sqlite:${none}`], {
    cwd,
  });
  expect([repaired.exitCode, existsSync(none)]).toEqual([1, false]);
  expect(repaired.stderr).toContain("there is no such file");
});
