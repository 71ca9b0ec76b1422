import pico from "picocolors";
import { type EquityReport } from "../backtest/report.ts";
import { newTable, right } from "./table.ts";

/** Marks from low to high; a line is this many of them wide, at most. */
const marks = "▁▂▃▄▅▆▇█";
const lineWidth = 32;

/** What positions were worth, key by key, with the convention of each number; empty for none. */
export function renderEquity(equities: readonly EquityReport[]): string {
  if (equities.length === 0) return "";
  const heads = ["returns", "key", "trades", "return", "drawdown", "Sharpe", "equity"];
  const table = newTable(heads);
  for (const equity of equities) {
    table.push([
      equity.name,
      equity.key,
      right(equity.trades.toLocaleString("en")),
      right(percentText(equity.totalReturn)),
      right(percentText(equity.drawdownMax)),
      right(Number.isNaN(equity.sharpe) ? "–" : equity.sharpe.toFixed(2)),
      sparkline(equity.line.map(([, value]) => value)),
    ]);
  }
  return [table.toString(), ...equities.flatMap(withoutValue), convention(equities)].join("\n");
}

/** Values as marks between their own lowest and highest; every bar of it is the last of its share. */
export function sparkline(values: readonly number[]): string {
  const width = Math.min(lineWidth, values.length);
  const shown = Array.from(
    { length: width },
    (_, i) => values[Math.ceil(((i + 1) * values.length) / width) - 1] ?? 0,
  );
  const low = Math.min(...shown);
  const span = Math.max(...shown) - low;
  return shown
    .map((value) => marks[span > 0 ? Math.round(((value - low) / span) * (marks.length - 1)) : 0])
    .join("");
}

function percentText(fraction: number): string {
  return `${(fraction * 100).toFixed(2)} %`;
}

function withoutValue({ name, key, barsWithoutValue }: EquityReport): readonly string[] {
  if (barsWithoutValue === 0) return [];
  const count = barsWithoutValue.toLocaleString("en");
  return [`${pico.yellow("returns")} ${name} ${key}: ${count} bars have no value, left out`];
}

function convention(equities: readonly EquityReport[]): string {
  const perYear = [...new Set(equities.map(({ barsPerYear }) => barsPerYear))];
  const bars = perYear.map((count) => Math.round(count).toLocaleString("en")).join(" or ");
  return `${pico.dim("Sharpe")} mean / sample deviation of the bars' returns net of costs × √(${bars} bars in 365 days), no interest taken off; drawdown from the highest equity at a close`;
}
