import { type HistoryStore, type TimeRange } from "../../runtime/index.ts";

/** One series of a store, small enough to compare by `toEqual`. */
export interface SeriesContents {
  readonly key: string;
  readonly interval: string;
  readonly rows: number;
  /** SHA-256 over the bits of all rows: ts, seq and fields. */
  readonly bits: string;
  readonly have: readonly TimeRange[];
  readonly empty: readonly TimeRange[];
}

/** All that a store holds, rows and coverage, by node ID; closes the store. */
export async function contentsOf(
  store: HistoryStore,
): Promise<Readonly<Record<string, SeriesContents>>> {
  const signal = AbortSignal.timeout(60_000);
  const all: Record<string, SeriesContents> = {};
  const everything = { start: 0, end: Date.UTC(9_999, 0, 1) };
  for (const series of await store.list(signal)) {
    const hasher = Array.from(
      { length: Object.keys(series.schema).length + 2 },
      () => new Bun.CryptoHasher("sha256"),
    );
    let rows = 0;
    for await (const { count, ts, seq, columns } of store.fetch(series, everything, signal)) {
      rows += count;
      for (const [i, column] of [ts, seq, ...columns].entries()) {
        hasher[i]!.update(column.slice(0, count));
      }
    }
    const { have, empty } = await store.coverage(series, signal);
    const bits = Bun.hash(hasher.map((one) => one.digest("hex")).join(" ")).toString(16);
    all[series.nodeId] = { key: series.key, interval: series.interval, rows, bits, have, empty };
  }
  await store.close();
  return all;
}
