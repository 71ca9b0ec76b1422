import { expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Measured, medianOf, type Suite } from "../../../bench/harness.ts";
import { helpText, parseOptions } from "../../../bench/report/options.ts";
import { readResults, resultOf, writeResults } from "../../../bench/report/results.ts";
import { tableOf } from "../../../bench/report/table.ts";

const rows: readonly Measured[] = [
  { name: "mine", role: "ours", nsPerRecord: 20, note: "p50 1 ms" },
  { name: "theirs", role: "baseline", nsPerRecord: 500 },
  { name: "memory", role: "limit", nsPerRecord: 5 },
];

const suite = (name: string, needsServers = false): Suite => ({
  name,
  needsServers,
  measure: async () => [],
});

/** Cells of the table's lines, without frames and colours. */
function cellsOf(table: string): readonly (readonly string[])[] {
  return Bun.stripANSI(table)
    .split("\n")
    .filter((line) => line.startsWith("│"))
    .map((line) =>
      line
        .split("│")
        .map((cell) => cell.trim())
        .slice(1, -1),
    );
}

test("the table shows ours beside the baseline and the limit", () => {
  const [, mine, theirs] = cellsOf(tableOf({ walk: resultOf(rows) }, undefined));
  expect(mine).toEqual(["mine", "50.0 M", "20.0", "25", "25 %", "p50 1 ms"]);
  expect(theirs).toEqual(["baseline: theirs", "2.00 M", "500", "–", "–", ""]);
});

test("with several limits each of ours stands beside the next one", () => {
  const second: readonly Measured[] = [
    { name: "more", role: "ours", nsPerRecord: 40 },
    { name: "disk", role: "limit", nsPerRecord: 20 },
  ];
  const lines = cellsOf(tableOf({ walk: resultOf([...rows, ...second]) }, undefined));
  expect([lines[1]![4], lines[4]![4]]).toEqual(["25 %", "50 %"]);
});

test("a comparison says how many times as fast as before, for those that were there", () => {
  const before = { walk: resultOf([{ ...rows[0]!, nsPerRecord: 30 }]) };
  const [, mine, theirs] = cellsOf(tableOf({ walk: resultOf(rows) }, before));
  expect(mine![5]).toBe("1.5");
  expect(theirs![5]).toBe("–");
});

test("results are kept per suite; a run of one suite leaves the others", () => {
  const directory = mkdtempSync(join(tmpdir(), "qmtl-bench-"));
  try {
    const file = join(directory, "results", "latest.json");
    expect(readResults(file)).toEqual({});
    const first = { walk: resultOf(rows), decode: resultOf(rows) };
    writeResults(file, first);
    const second = { walk: resultOf(rows.slice(1)) };
    writeResults(file, second);
    expect(readResults(file)).toEqual({ ...first, ...second });
    writeFileSync(file, '{"walk": 1}');
    expect(() => readResults(file)).toThrow("it has another form");
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test("suites that start servers run only if they are named", () => {
  const known = [suite("walk"), suite("kline-window", true)];
  const namesOf = (...argv: string[]): readonly string[] =>
    parseOptions(argv, known).suites.map(({ name }) => name);
  expect(namesOf()).toEqual(["walk"]);
  expect(namesOf("--only", "kline-window,walk")).toEqual(["kline-window", "walk"]);
  expect(() => namesOf("--only", "talk")).toThrow('the bench "talk": wanted one of walk');
  expect(() => namesOf("--time", "1")).toThrow("wanted 30 to 600000");
  expect(helpText(known)).toContain("kline-window (servers)");
});

test("medianOf() is the middle one, whatever the order", () => {
  expect(medianOf([9, 1, 5])).toBe(5);
});
