/**
 * Cost of a bar on its way to disk and back, in one file.
 * Measures: pages of 1,000 bars of 8 fields, each durable as SQLite's NORMAL mode has it, with
 * coverage; and reading them back into columns. The baseline keeps a row per bar.
 * Does not measure: many series, a full disk.
 */
import { Database, type Statement } from "bun:sqlite";
import {
  closeSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openHistory } from "../../connectors/sqlite/index.ts";
import {
  type ColumnBatch,
  type HistoryStore,
  newColumnBatch,
  type Series,
  sliceColumns,
  type TimeRange,
} from "../../runtime/index.ts";
import { type MicroSuite } from "../harness.ts";
import { bars } from "../market.ts";

const minuteMs = 60_000;
const pageRows = 1_000;
const series: Series = {
  nodeId: "0123456789abcdef0123456789abcdef",
  definitionId: "fedcba9876543210fedcba9876543210",
  key: "BTCUSDT",
  interval: "1m",
  schema: bars,
};
const { signal } = new AbortController();

/** Bars to a file. */
export const sqliteWrite: MicroSuite = {
  name: "sqlite write",
  rows: 10_000,
  async open(wanted) {
    const files = await openFiles(wanted);
    const { bytes, chunks, directory, plain, rows, store, table } = files;
    const file = openSync(join(directory, "bytes"), "w");
    const writeBytes = (): number => {
      for (let at = 0; at < bytes.length; at += bytes.length / (rows / pageRows)) {
        writeSync(file, bytes, at, bytes.length / (rows / pageRows));
      }
      return rows;
    };
    return {
      cases: [
        {
          name: "sqlite write",
          role: "ours",
          note: "asked ≥ 2 × a row per bar",
          rows,
          digest: rows,
          run: async () => await writeLap(store, chunks),
        },
        {
          name: "a row per bar, written",
          role: "baseline",
          rows,
          digest: rows,
          run: () => table.write(plain),
        },
        { name: "bytes to a file", role: "limit", rows, digest: rows, run: writeBytes },
      ],
      close: async () => {
        closeSync(file);
        await files.close();
      },
    };
  },
};

/** Bars back from a file. */
export const sqliteRead: MicroSuite = {
  name: "sqlite read",
  rows: 10_000,
  async open(wanted) {
    const files = await openFiles(wanted);
    const { bytes, chunks, directory, plain, rows, store, table } = files;
    const path = join(directory, "bytes");
    writeFileSync(path, bytes);
    const lap = chunks.range;
    const rowsLap = plain.range;
    const length = bytes.length;
    return {
      cases: [
        {
          name: "sqlite read",
          role: "ours",
          rows,
          digest: rows,
          run: async () => await readAll(store, lap),
        },
        {
          name: "a row per bar, read",
          role: "baseline",
          rows,
          digest: rows,
          run: () => table.read(rowsLap),
        },
        {
          name: "bytes from a file",
          role: "limit",
          rows,
          digest: length,
          run: () => readFileSync(path).length,
        },
      ],
      close: async () => await files.close(),
    };
  },
};

/** Both stores with a lap in each, and the bytes that a lap comes to. */
async function openFiles(wanted: number): Promise<{
  readonly directory: string;
  readonly store: HistoryStore;
  readonly table: RowTable;
  readonly chunks: Laps;
  readonly plain: Laps;
  readonly rows: number;
  readonly bytes: Uint8Array;
  close(): Promise<void>;
}> {
  const directory = mkdtempSync(join(tmpdir(), "qmtl-bench-"));
  const store = await openHistory(
    `sqlite:${join(directory, "chunks.db")}`,
    { mode: "write", isSimulated: false },
    signal,
  );
  const table = new RowTable(join(directory, "rows.db"));
  const chunks = new Laps(wanted);
  const plain = new Laps(wanted);
  await writeLap(store, chunks);
  table.write(plain);
  const rows = chunks.batch.count;
  const bytes = new Uint8Array(rows * 8 * (2 + chunks.batch.columns.length)).fill(1);
  const close = async (): Promise<void> => {
    table.close();
    await store.close();
    rmSync(directory, { recursive: true });
  };
  return { directory, store, table, chunks, plain, rows, bytes, close };
}

/** Bars of one key, whole pages; each lap comes after the one before. */
class Laps {
  readonly batch: ColumnBatch;

  constructor(wanted: number) {
    const count = Math.ceil(wanted / pageRows) * pageRows;
    this.batch = newColumnBatch(count, Object.keys(bars).length);
    for (let i = 0; i < count; i += 1) {
      this.batch.ts[i] = 1_600_000_020_000 + i * minuteMs;
      for (const [c, column] of this.batch.columns.entries()) column[i] = 100 + ((i * 7 + c) % 64);
    }
  }

  get range(): TimeRange {
    const { count, ts } = this.batch;
    return { start: ts[0]!, end: ts[count - 1]! + minuteMs };
  }

  *pages(): Iterable<ColumnBatch> {
    const { batch } = this;
    for (let from = 0; from < batch.count; from += pageRows) {
      yield sliceColumns(batch, from, from + pageRows);
    }
  }

  moveOn(): void {
    const { count, ts } = this.batch;
    for (let i = 0; i < count; i += 1) ts[i]! += count * minuteMs;
  }
}

async function writeLap(store: HistoryStore, laps: Laps): Promise<number> {
  let written = 0;
  laps.moveOn();
  for (const rows of laps.pages()) {
    const have = [{ start: rows.ts[0]!, end: rows.ts[rows.count - 1]! + minuteMs }];
    await store.persist(series, { rows, have, empty: [] }, signal);
    written += rows.count;
  }
  return written;
}

async function readAll(store: HistoryStore, range: TimeRange): Promise<number> {
  let read = 0;
  for await (const batch of store.fetch(series, range, signal)) read += batch.count;
  return read;
}

/** A table as one would write it without thinking of columns; same durability. */
class RowTable {
  readonly #database: Database;
  readonly #select: Statement<Record<string, number>, [number, number]>;
  readonly #insert: (page: ColumnBatch) => void;

  constructor(path: string) {
    const fields = Object.keys(bars);
    const database = new Database(path, { create: true });
    database.run("PRAGMA journal_mode = WAL");
    database.run("PRAGMA synchronous = NORMAL");
    const columns = fields.map((field) => `"${field}" REAL`).join(", ");
    database.run(
      `CREATE TABLE bars (node INTEGER, ts INTEGER, ${columns}, PRIMARY KEY (node, ts)) WITHOUT ROWID`,
    );
    const statement = database.prepare<unknown, number[]>(
      `INSERT INTO bars VALUES (1, ?${", ?".repeat(fields.length)})`,
    );
    this.#database = database;
    this.#select = database.prepare<Record<string, number>, [number, number]>(
      "SELECT * FROM bars WHERE node = 1 AND ts >= ? AND ts < ? ORDER BY ts",
    );
    this.#insert = database.transaction((page: ColumnBatch) => {
      for (let i = 0; i < page.count; i += 1) {
        statement.run(page.ts[i]!, ...page.columns.map((column) => column[i]!));
      }
    });
  }

  write(laps: Laps): number {
    let written = 0;
    laps.moveOn();
    for (const page of laps.pages()) {
      this.#insert(page);
      written += page.count;
    }
    return written;
  }

  /** Rows of the range into columns; how many there are. */
  read({ start, end }: TimeRange): number {
    const into = newColumnBatch(65_536, Object.keys(bars).length);
    let read = 0;
    for (const [, ts, ...values] of this.#select.values(start, end) as number[][]) {
      const at = read % into.ts.length;
      into.ts[at] = ts!;
      for (let i = 0; i < values.length; i += 1) into.columns[i]![at] = values[i]!;
      read += 1;
    }
    return read;
  }

  close(): void {
    this.#database.close();
  }
}
