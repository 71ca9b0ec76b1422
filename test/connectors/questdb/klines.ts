import {
  type ColumnBatch,
  type HistoryStore,
  kline,
  newColumnBatch,
  type Series,
  type TimeRange,
} from "../../../runtime/index.ts";

const minute = 60_000;
export const t0 = Date.UTC(2024, 0, 1);
export const at = (bar: number): number => t0 + bar * minute;
export const bars = (from: number, to: number): TimeRange => ({ start: at(from), end: at(to) });
export const signal = (): AbortSignal => AbortSignal.timeout(60_000);

export function newSeries(fields: Partial<Series> = {}): Series {
  const id = (): string => crypto.randomUUID().replaceAll("-", "");
  const ids = { nodeId: id(), definitionId: id() };
  return { ...ids, key: "BTCUSDT", interval: "1m", schema: kline, ...fields };
}

/** Bars `from` to `to`: value of field f of bar n is n + f / 16, whole where the field is. */
export function barsOf(from: number, to: number): ColumnBatch {
  const batch = newColumnBatch(to - from, 10);
  for (let i = 0; i < batch.count; i += 1) {
    batch.ts[i] = at(from + i);
    for (const [f, column] of batch.columns.entries()) {
      column[i] = from + i + (f === 5 || f === 7 ? 0 : f / 16);
    }
  }
  return batch;
}

/** Open times of all rows that are stored, as bar numbers. */
export async function barsIn(store: HistoryStore, series: Series): Promise<readonly number[]> {
  const found: number[] = [];
  const range = { start: 0, end: at(10_000_000) };
  for await (const { ts, count } of store.fetch(series, range, signal())) {
    for (let i = 0; i < count; i += 1) found.push((ts[i]! - t0) / minute);
  }
  return found;
}

export const numbers = (from: number, to: number): readonly number[] =>
  Array.from({ length: to - from }, (_, i) => from + i);

/** What a server at `port` answers to `sql`. */
export async function query(port: number, sql: string): Promise<readonly (readonly unknown[])[]> {
  const response = await fetch(`http://127.0.0.1:${port}/exec?query=${encodeURIComponent(sql)}`);
  const answer = (await response.json()) as { dataset?: unknown[][]; error?: string };
  if (answer.error !== undefined) throw new Error(`${sql}: ${answer.error}`);
  return answer.dataset ?? [];
}
