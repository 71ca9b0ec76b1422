import pico from "picocolors";
import { type LiveReport } from "../live/live-report.ts";
import { newTable, right } from "./table.ts";

/** What a live run came to, as a person likes to read it. */
export function renderLive(report: LiveReport): string {
  const counts = newTable(["records", "outputs", "slow path", "dead letters", "checkpoints"]);
  counts.push(
    [report.records, report.outputs, report.slowPath, report.deadLetters, report.checkpoints].map(
      (value) => right(value.toLocaleString("en")),
    ),
  );
  const threads = counted(report.threads, "thread", "threads");
  const sections = [
    `${pico.bold(report.strategy)}  live  deployment ${report.deployment}, ${threads}`,
    counts.toString(),
    rate(report),
    ...troubles(report).map((text) => `${pico.yellow("note")} ${text}`),
  ];
  return `\n${sections.join("\n")}\n`;
}

/** The same as one JSON object, for programs: NaN as null. What is named here stays. */
export function liveJson(report: LiveReport): string {
  return JSON.stringify({ ...report, recordsPerSecond: rateOf(report) }, null, 2);
}

function rate(report: LiveReport): string {
  const { fetchSeconds, computeSeconds, flushSeconds } = report;
  const all = fetchSeconds + computeSeconds + flushSeconds;
  const share = (seconds: number): string => `${all > 0 ? Math.round((100 * seconds) / all) : 0} %`;
  return [
    `${report.secondsFromFirst.toFixed(1)} s from the first record to the last,`,
    `${Math.round(rateOf(report)).toLocaleString("en")} records/s;`,
    `threads waited ${share(fetchSeconds)}, computed ${share(computeSeconds)}, sent ${share(flushSeconds)}`,
  ].join(" ");
}

function rateOf({ records, secondsFromFirst }: LiveReport): number {
  return secondsFromFirst > 0 ? records / secondsFromFirst : 0;
}

function troubles(report: LiveReport): readonly string[] {
  const { crashes, offsetResets, quarantined, released } = report;
  return [
    crashes === 0
      ? ""
      : `${counted(crashes, "crash", "crashes")} of threads, which were brought back`,
    quarantined.length === 0 ? "" : `quarantined at the end: ${quarantined.join(", ")}`,
    released === 0 ? "" : `${counted(released, "quarantine", "quarantines")} over before the end`,
    offsetResets === 0
      ? ""
      : `${counted(offsetResets, "position was", "positions were")} gone and moved as --offset-reset says`,
  ].filter((text) => text !== "");
}

function counted(count: number, one: string, several: string): string {
  return `${count} ${count === 1 ? one : several}`;
}
