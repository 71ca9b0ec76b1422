import { expect, test } from "bun:test";
import { stripVTControlCharacters } from "node:util";
import { renderReport } from "../../../../runtime/engine/terminal/report-table.ts";
import { sampleReport } from "../../../harness/sample-report.ts";

const textOf = (report = sampleReport) => stripVTControlCharacters(renderReport(report));

test("the table says rows, fetched, gaps and missing of each stream, and lists the ranges", () => {
  const text = textOf();
  expect(text).toMatch(/BTCUSDT 1m │ +2,870 │ +1,440 │ +1 │ +7 │/);
  expect(text).toContain(
    "gap BTCUSDT 1m 2025-01-01 01:00 → 2025-01-01 01:10: 10 bars that the exchange has not",
  );
  expect(text).toContain(
    "missing BTCUSDT 1m 2025-01-01 20:00 → 2025-01-01 20:01: 1 bar that could not be fetched",
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
  expect(text).toContain("\nfetch 3 requests to binance in 0.50 s\n");
  expect(text).toContain("\ndata  sqlite:sample.db");
  expect(text).toContain("\nnote  something was left out");
  expect(textOf({ ...sampleReport, threads: 2, refused: 0 })).toMatch(/2 threads, 1 late/);
});

test("what to try next can be pasted: an export of the first node, from where the data lie", () => {
  const exported = "\nnext  npx qmtl history export --symbol BTCUSDT --interval 1h --node wide";
  expect(textOf()).toContain(`${exported} --history sqlite:sample.db\n`);
  expect(textOf({ ...sampleReport, history: "sqlite:.qmtl/history.db" })).toContain(
    `${exported}\n`,
  );
  const odd = { ...sampleReport, history: "sqlite:my bars.db", nodes: [] };
  expect(textOf(odd)).toContain(
    "export --symbol BTCUSDT --interval 1m --history 'sqlite:my bars.db'\n",
  );
  const remote = { ...sampleReport, history: "questdb://db:9000", simulated: true };
  expect(textOf(remote)).toContain(`${exported} --history questdb://db:9000 --simulated\n`);
});

test("on a narrow terminal fewer values are shown, and none is cut", () => {
  const text = stripVTControlCharacters(renderReport(sampleReport, 80));
  expect(text).toMatch(/│ a 1 {2}b 0\.12345679 … 4 more │/);
  for (const line of text.split("\n").filter((row) => row.includes("│"))) {
    expect(line.length).toBeLessThanOrEqual(80);
  }
});

test("a value that is small keeps its power of ten, and a time its seconds", () => {
  const last = { ts: Date.UTC(2025, 0, 1, 0, 0, 30), values: { a: 1.25e-10, b: 1e21, c: 100.5 } };
  const [node] = sampleReport.nodes;
  const text = textOf({ ...sampleReport, nodes: [{ ...node!, last }] });
  expect(text).toMatch(/2025-01-01 00:00:30 │ a 1\.25e-10 {2}b 1e\+21 {2}c 100\.5 /);
});

test("simulated bars are marked in the heading", () => {
  expect(textOf().split("\n")[1]).not.toContain("SIMULATED");
  const [, heading] = textOf({ ...sampleReport, simulated: true }).split("\n");
  expect(heading).toMatch(
    /^Sample {2}backtest {2}2025-01-01 00:00 → 2025-01-03 00:00 {3}SIMULATED BARS/,
  );
});
