import { expect } from "bun:test";
import {
  type ColumnBatch,
  type HistoryPage,
  type HistoryStore,
  newColumnBatch,
  type Series,
  type TimeRange,
} from "../../runtime/index.ts";

/** A row as a reader sees it: ts, seq, then the fields. */
export type Row = readonly number[];

/** Longest a test of the suite takes, ms. */
export const timeoutMs = 60_000;
/** ms of a minute. */
export const minute = 60_000;
/** Open time of bar 0. */
export const t0 = Date.UTC(2024, 0, 1);
/** Holds all bars of the suite. */
export const always: TimeRange = { start: Date.UTC(2000, 0, 1), end: Date.UTC(2100, 0, 1) };
/** A batch without rows. */
export const noRows = newColumnBatch(0, 2);

/** Ends a call that hangs. */
export const signal = (): AbortSignal => AbortSignal.timeout(timeoutMs);
/** Open time of a bar. */
export const at = (bar: number): number => t0 + bar * minute;
/** The range of bars `from` to `to`. */
export const bars = (from: number, to: number): TimeRange => ({ start: at(from), end: at(to) });
/** An ID that no other test has. */
const hex = (): string => crypto.randomUUID().replaceAll("-", "");

/** A series nobody has written. */
export function newSeries(fields: Partial<Series> = {}): Series {
  const schema = { price: "f64", trades: "u64" } as const;
  const ids = { nodeId: hex(), definitionId: hex() };
  return { ...ids, key: "BTCUSDT", interval: "1m", schema, ...fields };
}

/** `rows` as columns. */
export function batchOf(rows: readonly Row[], columnCount = 2): ColumnBatch {
  const batch = newColumnBatch(rows.length, columnCount);
  for (const [i, [ts = 0, seq = 0, ...values]] of rows.entries()) {
    batch.ts[i] = ts;
    batch.seq[i] = seq;
    for (const [j, value] of values.entries()) batch.columns[j]![i] = value;
  }
  return batch;
}

/** Bars `from` to `to`, each with price `price` + its number. */
export function barRows(from: number, to: number, price = 0): Row[] {
  return Array.from({ length: to - from }, (_, i) => [at(from + i), 0, price + from + i, from + i]);
}

/** A page of `rows` that settles `have`. */
export function pageOf(rows: readonly Row[], have: readonly TimeRange[] = []): HistoryPage {
  return { rows: batchOf(rows), have, empty: [] };
}

/** What a fetch of `range` yields, row by row. */
export async function rowsOf(store: HistoryStore, series: Series, range = always): Promise<Row[]> {
  const rows: Row[] = [];
  for await (const batch of store.fetch(series, range, signal())) {
    expect(batch.count).toBeGreaterThan(0);
    expect(batch.count).toBeLessThanOrEqual(65_536);
    for (let i = 0; i < batch.count; i += 1) {
      rows.push([batch.ts[i]!, batch.seq[i]!, ...batch.columns.map((column) => column[i]!)]);
    }
  }
  return rows;
}
