import { beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { type BacktestReport } from "../../../../../runtime/index.ts";
import { BinanceHistory } from "../../../../../strategies/binance_history.ts";
import { runBacktest } from "../../../../harness/backtest-run.ts";
import { qmtl, runBun } from "../../../../harness/child-run.ts";
import { scratchDirectory } from "../../../../harness/scratch.ts";
import { bitsOf, readStore } from "../../../../harness/stored-rows.ts";

setDefaultTimeout(30_000);
const cwd = scratchDirectory();
const path = join(cwd, "history.db");
const start = Date.UTC(2025, 0, 1);
let report: BacktestReport;

beforeAll(async () => {
  ({ report } = await runBacktest({
    strategy: BinanceHistory,
    symbols: ["BTCUSDT", "ETHUSDT"],
    settings: {
      start,
      end: "2025-01-01T05:00",
      exchange: "simulated",
      history: `sqlite:${path}`,
    },
  }));
});

async function history(...args: readonly string[]) {
  const store = ["--history", `sqlite:${path}`, "--simulated"];
  return await runBun([qmtl, "history", ...args, ...store], { cwd });
}

test("history list shows each stored node, as a table or as JSON", async () => {
  const table = await history("list");
  const json = await history("list", "--json");
  const rows = JSON.parse(json.stdout) as { nodeId: string; have: object[]; empty: object[] }[];
  const ids = [...report.streams, ...report.nodes].map(({ nodeId }) => nodeId).toSorted();
  expect(rows.map(({ nodeId }) => nodeId).toSorted()).toEqual(ids);
  const bars = rows.find(({ nodeId }) => nodeId === report.streams[0]?.nodeId);
  expect(bars).toMatchObject({ have: [{ start, end: start + 300 * 60_000 }], empty: [] });
  for (const id of ids) expect(table.stdout).toContain(id);
  expect([table.exitCode, table.stderr]).toEqual([0, ""]);
});

test("history export prints values that parse back to the same float64", async () => {
  for (const { nodeId, name } of report.nodes) {
    const { stdout } = await history("export", "--node", nodeId);
    const [header, ...lines] = stdout.trimEnd().split("\n");
    const fields = { sma: "sma", zscore: "z" }[name];
    if (fields !== undefined) expect(header).toBe(`ts,${fields}`);
    const rows = lines.map((line) => line.split(",").map(Number));
    const stored = (await readStore(`${path}.simulated`)).get(nodeId)?.rows ?? [];
    expect(rows.length).toBeGreaterThan(50);
    expect(bitsOf(rows)).toBe(bitsOf(stored));
  }
});

test("history export takes [start, end) by open time", async () => {
  const series = ["--symbol", "ETHUSDT", "--interval", "60"];
  const range = ["--start", "2025-01-01T01:00", "--end", String(start / 1_000 + 3_720)];
  const { stdout } = await history("export", ...series, ...range);
  const opens = stdout
    .trimEnd()
    .split("\n")
    .slice(1)
    .map((line) => line.split(",")[0]);
  expect(opens).toEqual([String(start + 3_600_000), String(start + 3_660_000)]);
});

test("history refuses what it cannot find in one line", async () => {
  for (const [args, says] of [
    [["export", "--symbol", "NOSUCH", "--interval", "1m"], "0 nodes match, wanted one"],
    [["export"], "nodes match, wanted one"],
    [["export", "--node", "sma"], "2 nodes match, wanted one by --symbol, --interval and --node"],
    [["export", "--node", "sma"], report.nodes.find(({ name }) => name === "sma")?.nodeId ?? "?"],
    [["export", "--interval", "7m"], 'found "7m"'],
    [["list", "--josn"], '"--josn"'],
  ] as const) {
    const { exitCode, stdout, stderr } = await history(...args);
    expect([exitCode, stdout, stderr.trimEnd().split("\n").length]).toEqual([1, "", 1]);
    expect(stderr).toContain(says);
  }
  const none = await runBun([qmtl, "history", "list", "--history", "sqlite:none.db"], { cwd });
  expect([none.exitCode, none.stderr]).toEqual([
    1,
    expect.stringContaining("there is no such file, wanted a store that an earlier run wrote"),
  ]);
});
