import { expect, test } from "bun:test";
import { stripVTControlCharacters } from "node:util";
import { renderReport } from "../../../../runtime/engine/terminal/report-table.ts";
import { sampleReport } from "../../../harness/sample-report.ts";

const textOf = (report = sampleReport) => stripVTControlCharacters(renderReport(report));

test("the table says rows, fetched, gaps and missing of each stream, and lists the ranges", () => {
  const text = textOf();
  expect(text).toMatch(/BTCUSDT 1m │ +2,870 │ +1,440 │ +1 │ +7 │/);
  expect(text).toContain(
    "gap BTCUSDT 1m 2025-01-01 01:00 → 2025-01-01 01:10: the exchange has no bars",
  );
  expect(text.match(/^missing BTCUSDT/gm)).toHaveLength(5);
  expect(text).toContain("missing … and 2 more");
});

test("of each node it says outputs and the newest values, four of them", () => {
  const text = textOf();
  expect(text).toMatch(
    /wide .* 2,811 │ 2025-01-02 23:00 │ a 1 {2}b 0\.12345679 {2}c – {2}d -2 … 2 more/,
  );
  expect(text).toMatch(/silent │ BTCUSDT │ +0 │ –/);
});

test("it says how fast it was, what was refused, and where the data lie", () => {
  const text = textOf();
  expect(text).toContain("2,870 records in 0.25 s = 11,480 records/s on 1 thread");
  expect(text).toContain("2 outputs refused, 1 late or repeated bars");
  expect(text).toContain("data sqlite:sample.db");
  expect(text).toContain("note something was left out");
  expect(textOf({ ...sampleReport, threads: 2, refused: 0 })).toMatch(/2 threads, 1 late/);
});

test("simulated bars are marked in the heading", () => {
  expect(textOf().split("\n")[1]).not.toContain("SIMULATED");
  const [, heading] = textOf({ ...sampleReport, simulated: true }).split("\n");
  expect(heading).toMatch(
    /^Sample {2}backtest {2}2025-01-01 00:00 → 2025-01-03 00:00 {3}SIMULATED BARS/,
  );
});
