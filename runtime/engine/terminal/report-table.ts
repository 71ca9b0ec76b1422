import pico from "picocolors";
import { type TimeRange } from "../../contract/history-store.ts";
import { Interval } from "../../core/interval.ts";
import { type BacktestReport, type NodeReport, type StreamReport } from "../backtest/report.ts";
import { barsIn } from "../coverage.ts";
import { historyDefault } from "../settings.ts";
import { renderEquity } from "./equity-table.ts";
import { newTable, right, timeText } from "./table.ts";

/** Ranges listed in full per stream; the rest is counted. */
const rangesListedMax = 5;

/** Values of an output that are shown, at most. */
const valuesShownMax = 4;
/** Columns of the node table beside its names, its keys and its values: lines, counts, times. */
const otherCellsWidth = 40;

/** A report as a person likes to read it, `width` columns wide if the names allow it. */
export function renderReport(report: BacktestReport, width = 120): string {
  const sections = [
    heading(report),
    streamTable(report.streams),
    ...rangeLines(report.streams),
    report.nodes.length === 0 ? "" : nodeTable(report.nodes, width),
    renderEquity(report.equity ?? []),
    footer(report),
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
    ...listRanges(stream, "gap", stream.gaps, "that the exchange has not"),
    ...listRanges(stream, "missing", stream.missing, "that could not be fetched"),
  ]);
}

function listRanges(
  stream: StreamReport,
  word: string,
  ranges: readonly TimeRange[],
  why: string,
): readonly string[] {
  const interval = Interval.of(stream.interval);
  const lines = ranges.slice(0, rangesListedMax).map((range) => {
    const bars = barsIn([range], interval);
    const what = `${count(bars)} ${bars === 1 ? "bar" : "bars"} ${why}`;
    return `${pico.yellow(word)} ${stream.key} ${stream.interval} ${timeText(range.start)} → ${timeText(range.end)}: ${what}`;
  });
  const rest = ranges.length - lines.length;
  return rest > 0 ? [...lines, `${pico.yellow(word)} … and ${rest} more`] : lines;
}

function nodeTable(nodes: readonly NodeReport[], width: number): string {
  const table = newTable(["node", "key", "outputs", "last at", "last value"]);
  const names = nodes.map(({ name, key }) => name.length + key.length);
  const valuesWidth = width - Math.max(...names) - otherCellsWidth;
  for (const { name, key, outputs, last } of nodes) {
    const [at, values] =
      last === null ? ["–", "–"] : [timeText(last.ts), valuesText(last.values, valuesWidth)];
    table.push([name, key, right(count(outputs)), at, values]);
  }
  return table.toString();
}

/** `open 1  high 2 … 8 more`: the first values, at least one, and as many as there is room for. */
function valuesText(values: Readonly<Record<string, number>>, width: number): string {
  const texts = Object.entries(values).map(([name, value]) => `${name} ${numberText(value)}`);
  const textOf = (shown: number): string => {
    const rest = texts.length - shown;
    return `${texts.slice(0, shown).join("  ")}${rest > 0 ? ` … ${rest} more` : ""}`;
  };
  let shown = Math.min(texts.length, valuesShownMax);
  while (shown > 1 && textOf(shown).length > width) shown -= 1;
  return textOf(shown);
}

/** Below the tables, a line each: how fast, from where, what was noted, where to, what next. */
function footer(report: BacktestReport): string {
  const { threads, requests, notes } = report;
  const lines: (readonly [label: string, text: string])[] = [
    [
      "speed",
      `${count(report.records)} records in ${report.replaySeconds.toFixed(2)} s = ${count(Math.round(report.recordsPerSecond))} records/s on ${threads} ${threads === 1 ? "thread" : "threads"}${faultsText(report)}`,
    ],
    [
      "fetch",
      requests === 0
        ? "no request"
        : `${count(requests)} ${requests === 1 ? "request" : "requests"} to ${exchangeText(report)} in ${report.backfillSeconds.toFixed(2)} s`,
    ],
    ...notes.map((note) => ["note", note] as const),
    ["data", `${report.history}: rows and outputs, by node`],
    ...next(report).map((text) => ["next", text] as const),
  ];
  return lines.map(([label, text]) => `${pico.dim(label.padEnd(5))} ${text}`).join("\n");
}

function faultsText({ refused, late }: BacktestReport): string {
  return [
    refused === 0 ? "" : `, ${count(refused)} outputs refused`,
    late === 0 ? "" : `, ${count(late)} late or repeated bars`,
  ].join("");
}

function exchangeText({ exchange }: BacktestReport): string {
  return exchange === "simulated" || exchange === "recorded"
    ? `the ${exchange} exchange`
    : exchange;
}

/** Commands to go on with: one that can be pasted, and flags for another run. */
function next({ history, nodes, streams, simulated }: BacktestReport): readonly string[] {
  const [node] = nodes;
  const [stream] = streams;
  const place = [
    history === historyDefault ? [] : ["--history", quoted(history)],
    // A file of simulated bars has a name of its own.
    simulated && !history.startsWith("sqlite:") ? ["--simulated"] : [],
  ].flat();
  const { key = "", interval = "" } = node ?? stream ?? {};
  const chosen = ["--symbol", quoted(key), "--interval", interval];
  const named = node === undefined ? [] : ["--node", quoted(node.name)];
  return [
    ["npx qmtl history export", ...chosen, ...named, ...place].join(" "),
    "again with --symbols SOLUSDT, --start 2024-01-01 --end 2024-02-01, --interval 1h or --json; --help says what else",
  ];
}

/** A word as a shell takes it. */
function quoted(text: string): string {
  return /^[\w./:@=-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

function count(value: number): string {
  return value.toLocaleString("en");
}

function numberText(value: number): string {
  if (Number.isNaN(value)) return "–";
  return String(Number.isInteger(value) ? value : Number(value.toPrecision(8)));
}
