import { openHistory } from "../../connectors/sqlite/index.ts";
import { type HistoryStore, type Series } from "../../runtime/index.ts";

/** One stored series as plain data: `[ts, ...fields]` by row. */
export interface StoredSeries {
  readonly series: Series;
  readonly rows: readonly (readonly number[])[];
}

/** All that a SQLite store holds, by node ID. */
export async function readStore(path: string): Promise<ReadonlyMap<string, StoredSeries>> {
  const signal = AbortSignal.timeout(30_000);
  const options = { mode: "read", isSimulated: false } as const;
  const store = await openHistory(`sqlite:${path}`, options, signal);
  try {
    const all = new Map<string, StoredSeries>();
    for (const series of await store.list(signal)) {
      all.set(series.nodeId, { series, rows: await rowsOf(store, series) });
    }
    return all;
  } finally {
    await store.close();
  }
}

/** All rows of one series. */
export async function rowsOf(
  store: HistoryStore,
  series: Series,
): Promise<readonly (readonly number[])[]> {
  const rows: number[][] = [];
  const everything = { start: 0, end: Number.MAX_SAFE_INTEGER };
  for await (const batch of store.fetch(series, everything, AbortSignal.timeout(30_000))) {
    for (let i = 0; i < batch.count; i += 1) {
      rows.push([batch.ts[i]!, ...batch.columns.map((column) => column[i]!)]);
    }
  }
  return rows;
}

/** Bits of a value, so that equal means equal: −0 is not 0, NaN is NaN. */
export function bitsOf(rows: readonly (readonly number[])[]): string {
  return Buffer.from(Float64Array.from(rows.flat()).buffer).toString("base64");
}
