import { expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { qmtl, runBun } from "../../../../harness/child-run.ts";
import { numbersOf, recordedRows } from "../../../../harness/recorded-csv.ts";
import { recordedPath, recordedTest } from "../../../../harness/recorded-data.ts";
import { scratchDirectory } from "../../../../harness/scratch.ts";
import { bitsOf } from "../../../../harness/stored-rows.ts";

setDefaultTimeout(30_000);
const cwd = scratchDirectory();
const header =
  "openTime,open,high,low,close,volume,closeTime,quoteVolume,trades,takerBuyBase,takerBuyQuote";
const bar = (openMs: number, unit: 1 | 1_000 = 1, close = "1.10000000"): string => {
  const [open, end] =
    unit === 1 ? [openMs, openMs + 59_999] : [openMs * 1_000, openMs * 1_000 + 59_999_999];
  return `${open},1.00000000,2.0,0.5,${close},10.5,${end},11.55,3,4.25,4.675`;
};
const opens = [Date.UTC(2024, 0, 1), Date.UTC(2024, 0, 1, 0, 1), Date.UTC(2024, 0, 1, 0, 3)];
const series = ["--symbol", "ABCUSDT", "--interval", "1m"];
let stores = 0;

/** `qmtl history` on one store of its own. */
function newStore() {
  stores += 1;
  const path = join(cwd, `${stores}.db`);
  const run = async (...args: readonly string[]) =>
    await runBun([qmtl, "history", ...args, "--history", `sqlite:${path}`], { cwd });
  return { path, run };
}

function file(name: string, lines: readonly string[]): string {
  const path = join(cwd, name);
  writeFileSync(path, `${lines.join("\n")}\n`);
  return path;
}

function cellsOf(csv: string): readonly (readonly number[])[] {
  const lines = csv.trimEnd().split("\n").slice(1);
  return lines.map((line) => numbersOf(line.split(",")));
}

recordedTest("a recorded file comes out as it went in, value for value", async () => {
  const { run } = newStore();
  const name = "BTCUSDT-1m-20200101-20200103.csv";
  const rows = recordedRows(name);
  const imported = await run("import", recordedPath("klines", name));
  expect([imported.exitCode, imported.stderr]).toEqual([0, ""]);
  expect(imported.stdout).toStartWith(
    `BTCUSDT 1m: ${rows.length} bars stored, from 2020-01-01T00:00`,
  );
  const { stdout } = await run("export", "--symbol", "BTCUSDT", "--interval", "1m");
  expect(stdout).toStartWith(`${header}\n`);
  expect(bitsOf(cellsOf(stdout))).toBe(bitsOf(rows.map(numbersOf)));
  const json = await run("export", "--symbol", "BTCUSDT", "--interval", "1m", "--format", "json");
  const parsed = JSON.parse(json.stdout) as readonly Readonly<Record<string, number>>[];
  expect(Object.keys(parsed[0] ?? {}).join(",")).toBe(header);
  expect(bitsOf(parsed.map((row) => Object.values(row)))).toBe(bitsOf(rows.map(numbersOf)));
});

test("12 columns without a header and 11 with one, in ms and in µs, store the same", async () => {
  const files = [
    file("ms.csv", [header, ...opens.map((open) => bar(open))]),
    file(
      "us.csv",
      opens.map((open) => `${bar(open, 1_000)},0`),
    ),
  ];
  const exports: string[] = [];
  for (const path of files) {
    const { run } = newStore();
    const imported = await run("import", path, ...series);
    expect([imported.exitCode, imported.stderr]).toEqual([0, ""]);
    exports.push((await run("export", ...series)).stdout);
    // A slot that the file has no row for stays missing: a repair asks the exchange for it.
    const gaps = await run("gaps", "--json");
    expect(JSON.parse(gaps.stdout)).toMatchObject([
      { empty: [], missing: [{ start: opens[1]! + 60_000, end: opens[2]! }] },
    ]);
  }
  expect(exports[0]).toBe(
    [
      header,
      ...opens.map((open) =>
        bar(open)
          .replaceAll(/(\.\d*?)0+(?=,|$)/g, "$1")
          .replaceAll(".,", ","),
      ),
    ].join("\n") + "\n",
  );
  expect(exports[1]).toBe(exports[0]);
});

test("a malformed row is named by file and line, and nothing is stored", async () => {
  for (const [lines, says] of [
    [
      [header, bar(opens[0]!), `${opens[1]},x,2,1,1,1,${opens[1]! + 59_999},1,1,1,1`],
      'bad.csv:3: found "x" as open, wanted a number',
    ],
    [[bar(opens[0]!), "1,2,3"], "bad.csv:2: found 3 cells, wanted 11 or 12"],
    [[bar(opens[1]!), bar(opens[0]!)], `bad.csv:2: found openTime ${opens[0]}, wanted one after`],
    [[bar(opens[0]!), bar(opens[0]!)], "bad.csv:2: found openTime"],
    [[bar(opens[0]!), bar(Date.UTC(2199, 0, 1))], "bad.csv:2: found closeTime"],
    [[header], "bad.csv: found no rows, wanted bars"],
  ] as const) {
    const { path, run } = newStore();
    const { exitCode, stdout, stderr } = await run("import", file("bad.csv", lines), ...series);
    expect([exitCode, stdout, stderr.trimEnd().split("\n").length]).toEqual([1, "", 1]);
    expect(stderr).toContain(says);
    expect(existsSync(path)).toBe(false);
  }
});

test("bars of another length than the interval are refused", async () => {
  const path = file(
    "minutes.csv",
    Array.from({ length: 10 }, (_, i) => bar(opens[0]! + i * 60_000)),
  );
  const { run } = newStore();
  const { stderr } = await run("import", path, "--symbol", "ABCUSDT", "--interval", "5m");
  expect(stderr).toContain("minutes.csv: found several rows in each bar, wanted bars of 5m");
  const seconds = await run("import", path, "--symbol", "ABCUSDT", "--interval", "1s");
  expect(seconds.stderr).toContain("minutes.csv:1: found closeTime");
});

test("a file, a symbol and an interval are asked for by name", async () => {
  const { run } = newStore();
  const path = file("unnamed.csv", [bar(opens[0]!)]);
  for (const [args, says] of [
    [[], "wanted the name of a CSV file"],
    [[path], "wanted --symbol and --interval"],
    [["nosuch.csv", ...series], "nosuch.csv"],
    [[path, "--symbol", "a b", "--interval", "1m"], 'in place of "a b"'],
  ] as const) {
    const { exitCode, stderr } = await run("import", ...args);
    expect([exitCode, stderr.trimEnd().split("\n").length]).toEqual([1, 1]);
    expect(stderr).toContain(says);
  }
});
