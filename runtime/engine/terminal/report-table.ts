import pico from "picocolors";
import { type TimeRange } from "../../contract/history-store.ts";
import { type BacktestReport, type NodeReport, type StreamReport } from "../backtest/report.ts";
import { renderEquity } from "./equity-table.ts";
import { newTable, right } from "./table.ts";

/** Ranges listed in full per stream; the rest is counted. */
const rangesListedMax = 5;

/** A report as a person likes to read it. */
export function renderReport(report: BacktestReport): string {
  const sections = [
    heading(report),
    streamTable(report.streams),
    ...rangeLines(report.streams),
    report.nodes.length === 0 ? "" : nodeTable(report.nodes),
    renderEquity(report.equity ?? []),
    summary(report),
    report.notes.map((note) => `${pico.yellow("note")} ${note}`).join("\n"),
    next(report),
  ];
  return `\n${sections.filter((section) => section !== "").join("\n")}\n`;
}

function heading(report: BacktestReport): string {
  const mark = report.simulated ? pico.bgYellow(pico.black(" SIMULATED BARS ")) : "";
  const range = `${timeText(report.start)} → ${timeText(report.end)}`;
  return `${pico.bold(report.strategy)}  backtest  ${range}  ${mark}`.trimEnd();
}

function streamTable(streams: readonly StreamReport[]): string {
  const table = newTable(["stream", "rows", "fetched", "gaps", "missing"]);
  for (const stream of streams) {
    table.push([
      `${stream.key} ${stream.interval}`,
      right(count(stream.rows)),
      right(count(stream.fetched)),
      right(stream.gaps.length === 0 ? "0" : pico.yellow(count(stream.gaps.length))),
      right(stream.missing.length === 0 ? "0" : pico.red(count(stream.missing.length))),
    ]);
  }
  return table.toString();
}

function rangeLines(streams: readonly StreamReport[]): readonly string[] {
  return streams.flatMap((stream) => [
    ...listRanges(stream, "gap", stream.gaps, "the exchange has no bars"),
    ...listRanges(stream, "missing", stream.missing, "could not be fetched"),
  ]);
}

function listRanges(
  stream: StreamReport,
  word: string,
  ranges: readonly TimeRange[],
  why: string,
): readonly string[] {
  const lines = ranges.slice(0, rangesListedMax).map(({ start, end }) => {
    const where = `${stream.key} ${stream.interval}`;
    return `${pico.yellow(word)} ${where} ${timeText(start)} → ${timeText(end)}: ${why}`;
  });
  const rest = ranges.length - lines.length;
  return rest > 0 ? [...lines, `${pico.yellow(word)} … and ${rest} more`] : lines;
}

function nodeTable(nodes: readonly NodeReport[]): string {
  const table = newTable(["node", "key", "outputs", "last at", "last value"]);
  for (const node of nodes) {
    const values = Object.entries(node.last?.values ?? {});
    const shown = values.slice(0, 4).map(([name, value]) => `${name} ${numberText(value)}`);
    const rest = values.length > 4 ? ` … ${values.length - 4} more` : "";
    table.push([
      node.name,
      node.key,
      right(count(node.outputs)),
      node.last === null ? "–" : timeText(node.last.ts),
      node.last === null ? "–" : `${shown.join("  ")}${rest}`,
    ]);
  }
  return table.toString();
}

function summary(report: BacktestReport): string {
  const speed = `${count(report.records)} records in ${report.replaySeconds.toFixed(2)} s = ${count(Math.round(report.recordsPerSecond))} records/s on ${report.threads} thread${report.threads === 1 ? "" : "s"}`;
  const fetch = `backfill ${report.backfillSeconds.toFixed(2)} s, ${count(report.requests)} requests to ${report.exchange}`;
  const refused = report.refused === 0 ? "" : `, ${count(report.refused)} outputs refused`;
  const late = report.late === 0 ? "" : `, ${count(report.late)} late or repeated bars`;
  return `${speed}${refused}${late}; ${fetch}`;
}

function next(report: BacktestReport): string {
  return [
    `${pico.dim("data")} ${report.history} (rows and outputs, by node ID)`,
    `${pico.dim("next")} --symbols SOLUSDT --start 2024-01-01 --end 2024-02-01 · --interval 1h · --json · --help`,
  ].join("\n");
}

function count(value: number): string {
  return value.toLocaleString("en");
}

function numberText(value: number): string {
  if (Number.isNaN(value)) return "–";
  return Number.isInteger(value) ? String(value) : value.toPrecision(8).replace(/\.?0+$/, "");
}

function timeText(ms: number): string {
  return new Date(ms)
    .toISOString()
    .replace("T", " ")
    .replace(/:00\.000Z$/, "");
}
