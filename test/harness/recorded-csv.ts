import { readFileSync } from "node:fs";
import { recordedPath } from "./recorded-data.ts";

/** A recorded bar as it is written: the exchange's own decimals. */
export type CsvRow = readonly string[];

/** Rows of `klines/NAME` without the header. */
export function recordedRows(name: string): readonly CsvRow[] {
  const lines = readFileSync(recordedPath("klines", name), "utf8").trimEnd().split("\n");
  return lines.slice(1).map((line) => line.split(","));
}

/** A row's numbers; an empty cell is NaN. */
export function numbersOf(row: CsvRow): readonly number[] {
  return row.map((cell) => (cell === "" ? Number.NaN : Number(cell)));
}

/** Place of a field in a row of either form: `openTime` is 0. */
export const at = {
  openTime: 0,
  open: 1,
  high: 2,
  low: 3,
  close: 4,
  volume: 5,
  closeTime: 6,
  quoteVolume: 7,
  trades: 8,
  takerBuyBase: 9,
  takerBuyQuote: 10,
} as const;
