/**
 * Whether a row costs more where there are many: the same work in a store of one series and in the
 * same store when it holds 10 times as many rows.
 * Measures: writing pages until they are durable (QuestDB: visible), the first rows against the
 * last; reading as many rows back, and all of them. `× baseline` near 1 is flat.
 * Does not measure: what a row costs beside other ways (see sqlite, questdb), many series, a store
 * that does not fit the machine's memory.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openHistory as openQuestdb } from "../../connectors/questdb/index.ts";
import { openHistory as openSqlite } from "../../connectors/sqlite/index.ts";
import { startQuestdb } from "../../runtime/cli/servers/index.ts";
import {
  type ColumnBatch,
  type HistoryStore,
  newColumnBatch,
  type Series,
  sliceColumns,
} from "../../runtime/index.ts";
import { type Measured, medianOf, type Suite } from "../harness.ts";
import { bars } from "../market.ts";

const rounds = 3;
/** A read is short: the median of some. */
const reads = 5;
const growth = 10;
const minuteMs = 60_000;
const startMs = Date.UTC(2021, 0, 1);
const series: Series = {
  nodeId: "0123456789abcdef0123456789abcdef",
  definitionId: "fedcba9876543210fedcba9876543210",
  key: "BTCUSDT",
  interval: "1m",
  schema: bars,
};
const openMode = { mode: "write", isSimulated: false } as const;

/** Opens an empty store; `round` names it. */
type OpenEmpty = (round: number) => Promise<HistoryStore>;

/** What to write: `rows` at first and 10 times as many in the end, `pageRows` at once. */
export interface GrowthOptions {
  readonly part: "write" | "read";
  readonly rows: number;
  readonly pageRows: number;
}

/** Files and tables that grow. */
export const growthSuites: readonly Suite[] = [
  ...(["write", "read"] as const).map(
    (part): Suite => ({
      name: `growth sqlite ${part}`,
      needsServers: false,
      measure: async ({ timeMs }, signal) => {
        return await measureSqlite({ part, rows: rowsIn(timeMs), pageRows: 1_000 }, signal);
      },
    }),
  ),
  ...(["write", "read"] as const).map(
    (part): Suite => ({
      name: `growth questdb ${part}`,
      needsServers: true,
      measure: async ({ timeMs }, signal) => {
        await using server = await startQuestdb({ purpose: "work" });
        const rows = rowsIn(timeMs);
        const open: OpenEmpty = async (round) => {
          return await openQuestdb(`${server.url}?prefix=growth_${round}`, openMode, signal);
        };
        return await measureGrowth("questdb", { part, rows, pageRows: rows }, open, signal);
      },
    }),
  ),
];

/** The rows of `options` into a file of each round. */
export async function measureSqlite(
  options: GrowthOptions,
  signal: AbortSignal,
): Promise<readonly Measured[]> {
  const directory = mkdtempSync(join(tmpdir(), "qmtl-bench-"));
  const open: OpenEmpty = async (round) => {
    return await openSqlite(`sqlite:${join(directory, `${round}.db`)}`, openMode, signal);
  };
  try {
    return await measureGrowth("sqlite", options, open, signal);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** Costs of a row by what was done, ns: the first is the baseline of the others. */
type Round = readonly (readonly [name: string, nsPerRecord: number])[];

async function measureGrowth(
  name: string,
  options: GrowthOptions,
  open: OpenEmpty,
  signal: AbortSignal,
): Promise<readonly Measured[]> {
  const found: Round[] = [];
  // The first round warms both sides up.
  for (let round = 0; round <= rounds; round += 1) {
    const store = await open(round);
    try {
      const one = await measureRound(store, options, signal);
      if (round > 0) found.push(one);
    } finally {
      await store.close();
    }
  }
  const costs = found[0]!.map((_, i) => Math.min(...found.map((round) => round[i]![1])));
  return found[0]!.map(([what], i) => ({
    name: `${name}, ${what}`,
    role: i === 0 ? "baseline" : "ours",
    nsPerRecord: costs[i]!,
    ...(i === 0
      ? {}
      : { note: `${(costs[i]! / costs[0]!).toFixed(2)} times the cost of a row (asked: flat)` }),
  }));
}

async function measureRound(
  store: HistoryStore,
  { part, rows, pageRows }: GrowthOptions,
  signal: AbortSignal,
): Promise<Round> {
  const batch = makeBars(rows, pageRows);
  const many = rows * growth;
  // A page of one bar makes what the store needs at first.
  await writeRows(store, sliceColumns(batch, 0, 1), 1, signal);
  const perRow = async (count: number, work: () => Promise<unknown>): Promise<number> => {
    const began = performance.now();
    await work();
    return ((performance.now() - began) * 1e6) / count;
  };
  const write = async (): Promise<number> =>
    await perRow(rows, async () => await writeRows(store, batch, pageRows, signal));
  const read = async (from: number, count: number): Promise<number> => {
    const costs: number[] = [];
    for (let i = 0; i < reads; i += 1) {
      costs.push(await perRow(count, async () => await readRows(store, from, count, signal)));
    }
    return medianOf(costs);
  };
  const writeFirst = await write();
  const readFew = part === "read" ? await read(0, rows) : Number.NaN;
  let writeLast = Number.NaN;
  for (let i = 1; i < growth; i += 1) {
    for (let row = 0; row < rows; row += 1) batch.ts[row]! += rows * minuteMs;
    writeLast = await write();
  }
  if (part === "write") {
    await readRows(store, 0, many, signal);
    return [
      [`rows up to ${rows}`, writeFirst],
      [`as many up to ${many}`, writeLast],
    ];
  }
  return [
    [`${rows} rows of ${rows}`, readFew],
    [`${rows} rows of ${many}`, await read((growth / 2) * rows, rows)],
    [`${many} rows of ${many}`, await read(0, many)],
  ];
}

async function writeRows(
  store: HistoryStore,
  batch: ColumnBatch,
  pageRows: number,
  signal: AbortSignal,
): Promise<void> {
  for (let from = 0; from < batch.count; from += pageRows) {
    const rows = sliceColumns(batch, from, Math.min(batch.count, from + pageRows));
    const have = [{ start: rows.ts[0]!, end: rows.ts[rows.count - 1]! + minuteMs }];
    await store.persist(series, { rows, have, empty: [] }, signal);
  }
}

/** @throws Error if these are not `count` rows, a minute apart, from row `from` on. */
async function readRows(
  store: HistoryStore,
  from: number,
  count: number,
  signal: AbortSignal,
): Promise<void> {
  const start = startMs + from * minuteMs;
  let found = 0;
  for await (const batch of store.fetch(series, { start, end: start + count * minuteMs }, signal)) {
    const last = batch.count - 1;
    if (batch.ts[last] !== start + (found + last) * minuteMs) {
      throw new Error(`Read the row of ${batch.ts[last]} as row ${from + found + last}`);
    }
    found += batch.count;
  }
  if (found !== count) throw new Error(`Read ${found} rows, wanted ${count}`);
}

function makeBars(count: number, pageRows: number): ColumnBatch {
  if (count % pageRows !== 0) throw new Error(`${count} rows are no whole pages of ${pageRows}`);
  const kinds = Object.values(bars);
  const batch = newColumnBatch(count, kinds.length);
  for (let i = 0; i < count; i += 1) {
    batch.ts[i] = startMs + i * minuteMs;
    for (const [f, column] of batch.columns.entries()) {
      column[i] = kinds[f] === "f64" ? 100 + ((i * 7 + f) % 1_000) / 64 : i + f;
    }
  }
  return batch;
}

/** 100,000 in the default time, whole pages. */
function rowsIn(timeMs: number): number {
  return Math.max(10, Math.min(100, Math.round(timeMs / 6))) * 1_000;
}
