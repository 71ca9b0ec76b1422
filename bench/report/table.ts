import Table from "cli-table3";
import pico from "picocolors";
import { type Measured } from "../harness.ts";
import { type Results } from "./results.ts";

const none = "–";

/**
 * One table of all suites. Each of ours stands beside the suite's first baseline and the next limit;
 * with `before`, also beside itself in the last run (above 1: faster now).
 */
export function tableOf(found: Results, before: Results | undefined): string {
  const heads = ["bench", "records/s", "ns a record", "× baseline", "of limit"];
  const table = new Table({
    head: [...heads, ...(before === undefined ? [] : ["× last run"]), ""],
    style: { head: [], border: [], compact: true },
    colAligns: ["left", "right", "right", "right", "right", ...(before ? ["right" as const] : [])],
  });
  for (const [suite, { rows }] of Object.entries(found)) {
    for (const row of rows) {
      const last = before?.[suite]?.rows.find(({ name }) => name === row.name);
      table.push([
        row.role === "ours" ? pico.bold(row.name) : pico.dim(`  ${row.role}: ${row.name}`),
        rateText(row),
        row.nsPerRecord.toPrecision(3),
        ...(row.role === "ours" ? besides(row, rows) : [none, none]),
        ...(before === undefined ? [] : [last === undefined ? none : timesText(last, row)]),
        row.note ?? "",
      ]);
    }
  }
  return table.toString();
}

/** How many times as fast as the baseline, and which share of the limit's speed. */
function besides(row: Measured, rows: readonly Measured[]): readonly [string, string] {
  const baseline = rows.find(({ role }) => role === "baseline");
  const limits = rows.filter(({ role }) => role === "limit");
  const limit = limits.find((one) => rows.indexOf(one) > rows.indexOf(row)) ?? limits[0];
  return [
    baseline === undefined ? none : timesText(baseline, row),
    limit === undefined ? none : shareText(limit, row),
  ];
}

function timesText(other: Measured, row: Measured): string {
  const times = other.nsPerRecord / row.nsPerRecord;
  return times >= 100 ? String(Math.round(times)) : times.toPrecision(2);
}

function rateText({ nsPerRecord, isLatency }: Measured): string {
  if (isLatency === true) return none;
  const perSecond = 1e9 / nsPerRecord;
  if (perSecond >= 1e6) return `${(perSecond / 1e6).toPrecision(3)} M`;
  return perSecond >= 1e3 ? `${(perSecond / 1e3).toPrecision(3)} k` : perSecond.toPrecision(3);
}

function shareText(limit: Measured, row: Measured): string {
  const percent = (limit.nsPerRecord / row.nsPerRecord) * 100;
  return `${percent >= 10 ? percent.toFixed(0) : percent.toPrecision(2)} %`;
}
