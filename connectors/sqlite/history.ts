import { z } from "zod";
import {
  type ColumnBatch,
  type Coverage,
  concatColumns,
  coverageWith,
  coverageWithout,
  faultOfRows,
  type HistoryOpenOptions,
  type HistoryPage,
  type HistoryStore,
  Interval,
  intervalNames,
  mergeColumns,
  newColumnBatch,
  QmtlError,
  rowAtTime,
  type Series,
  sliceColumns,
  type TimeRange,
} from "../../runtime/index.ts";
import { ChunkEncoder, chunkIntervals, decodeChunk, splitByGrid } from "./chunk.ts";
import { parseSqliteUrl } from "./config.ts";
import { StoreFile, type StoreFormat } from "./store-file.ts";

/**
 *   series    one row per node; `id` stands for it in the other tables. A file of before there
 *             were names has no column "name": a writer adds it, a reader does without
 *   chunk     rows, see chunk.ts
 *   coverage  ranges of each kind, disjoint: 0 = have, 1 = confirmed empty
 */
const format: StoreFormat = {
  name: "history store",
  applicationId: 0x716d_7468,
  version: 1,
  tables: `
    CREATE TABLE series (
      id INTEGER PRIMARY KEY,
      node TEXT NOT NULL UNIQUE,
      definition TEXT NOT NULL,
      key TEXT NOT NULL,
      interval TEXT NOT NULL,
      schema TEXT NOT NULL,
      name TEXT
    );
    CREATE TABLE chunk (
      node INTEGER NOT NULL,
      start INTEGER NOT NULL,
      n INTEGER NOT NULL,
      cols BLOB NOT NULL,
      PRIMARY KEY (node, start)
    );
    CREATE TABLE coverage (
      node INTEGER NOT NULL,
      kind INTEGER NOT NULL,
      start INTEGER NOT NULL,
      "end" INTEGER NOT NULL,
      PRIMARY KEY (node, kind, start)
    ) WITHOUT ROWID;`,
};

/** Rows of a batch: large enough that a batch costs little beside its rows, small enough for L2. */
const batchRowsMax = chunkIntervals * 8;
const kinds = { have: 0, empty: 1 } as const;

const storedSeries = z.tuple([
  z.string(),
  z.string(),
  z.string(),
  z.enum(intervalNames),
  z.record(z.string(), z.enum(["f64", "i64", "u64", "u32", "bool"])),
]);

/**
 * Opens `sqlite:PATH`; simulated rows lie in `PATH.simulated`.
 *
 * @throws QmtlError CONFIG_INVALID for a URL it cannot read or, to a reader, a file that is not
 *   there; STORE_LOCKED to a second writer; others as `StoreFile.open`.
 */
export async function openHistory(
  url: string,
  options: HistoryOpenOptions,
  signal: AbortSignal,
): Promise<HistoryStore> {
  signal.throwIfAborted();
  const { path, bytesMax } = parseSqliteUrl(url);
  const file = StoreFile.open(
    {
      path: options.isSimulated ? `${path}.simulated` : path,
      bytesMax,
      mode: options.mode,
      isExclusive: true,
    },
    format,
  );
  try {
    if (options.mode === "write") addNames(file);
  } catch (error) {
    file.close();
    throw error;
  }
  return new SqliteHistory(file, options.mode === "read");
}

/**
 * History in one file: rows in chunks, page and coverage in one transaction. Each call is one
 * transaction of at most a page, and a fetch reads batch by batch, so that no reader holds the
 * write-ahead log for longer (H5).
 */
class SqliteHistory implements HistoryStore {
  readonly capabilities = { writers: "single", isPageAtomic: true } as const;
  readonly #file: StoreFile;
  readonly #isReader: boolean;
  readonly #encoder = new ChunkEncoder();

  constructor(file: StoreFile, isReader: boolean) {
    this.#file = file;
    this.#isReader = isReader;
  }

  async coverage(series: Series, signal: AbortSignal): Promise<Coverage> {
    signal.throwIfAborted();
    return this.#file.snapshot("read coverage", () => {
      const id = this.#idOf(series);
      const all = { start: Number.MIN_SAFE_INTEGER, end: Number.MAX_SAFE_INTEGER };
      return id === undefined ? { have: [], empty: [] } : this.#coverageAround(id, all);
    });
  }

  async *fetch(series: Series, range: TimeRange, signal: AbortSignal): AsyncIterable<ColumnBatch> {
    signal.throwIfAborted();
    const id = this.#file.guard("read rows", () => this.#idOf(series));
    if (id === undefined || range.start >= range.end) return;
    const columnCount = Object.keys(series.schema).length;
    const out = newColumnBatch(batchRowsMax, columnCount);
    let filled = 0;
    for (const chunk of this.#chunks(id, range, columnCount)) {
      const to = rowAtTime(chunk, range.end);
      let from = rowAtTime(chunk, range.start);
      while (from < to) {
        const count = Math.min(to - from, batchRowsMax - filled);
        copyRows(chunk, from, count, { batch: out, at: filled });
        filled += count;
        from += count;
        if (filled < batchRowsMax) continue;
        yield { ...out, count: filled };
        signal.throwIfAborted();
        filled = 0;
      }
    }
    if (filled > 0) yield { ...out, count: filled };
  }

  async persist(series: Series, page: HistoryPage, signal: AbortSignal): Promise<void> {
    this.#checkWriter(series, signal);
    const columnCount = Object.keys(series.schema).length;
    const interval = Interval.of(series.interval);
    const fault = faultOfRows(page.rows, columnCount);
    if (fault !== undefined) throw rejected(series, fault);
    this.#file.transaction(`write a page of "${series.key}"`, () => {
      const id = this.#makeId(series);
      for (const { start, rows } of splitByGrid(page.rows, interval)) {
        const stored = this.#chunkAt(id, start, columnCount);
        this.#putChunk(id, start, stored === undefined ? rows : mergeColumns(stored, rows));
      }
      const hull = hullOf([...page.have, ...page.empty]);
      if (hull !== undefined) this.#changeCoverage(id, hull, (known) => coverageWith(known, page));
    });
  }

  async forget(series: Series, range: TimeRange, signal: AbortSignal): Promise<void> {
    this.#checkWriter(series, signal);
    const columnCount = Object.keys(series.schema).length;
    this.#file.transaction(`forget a range of "${series.key}"`, () => {
      const id = this.#idOf(series);
      if (id === undefined || range.start >= range.end) return;
      for (const start of this.#cellsIn(id, range)) {
        const stored = this.#chunkAt(id, start, columnCount);
        if (stored === undefined) continue;
        const before = sliceColumns(stored, 0, rowAtTime(stored, range.start));
        const after = sliceColumns(stored, rowAtTime(stored, range.end), stored.count);
        this.#putChunk(id, start, concatColumns([before, after], columnCount));
      }
      this.#changeCoverage(id, range, (known) => coverageWithout(known, range));
    });
  }

  async list(signal: AbortSignal): Promise<readonly Series[]> {
    signal.throwIfAborted();
    return this.#file.guard("list series", () =>
      this.#file
        .query(
          `SELECT node, definition, key, interval, schema, ${hasNames(this.#file) ? "name" : "NULL"}
           FROM series
           WHERE EXISTS (SELECT 1 FROM chunk WHERE chunk.node = series.id)
              OR EXISTS (SELECT 1 FROM coverage WHERE coverage.node = series.id)
           ORDER BY id`,
        )
        .values()
        .map((row) => this.#seriesOf(row)),
    );
  }

  async close(): Promise<void> {
    this.#file.close();
  }

  #checkWriter(series: Series, signal: AbortSignal): void {
    this.#file.checkOpen("write history");
    signal.throwIfAborted();
    if (!this.#isReader) return;
    throw new QmtlError(
      "STORE_READ_ONLY",
      `Cannot write history of "${series.key}": the store is open to read, wanted it open to write`,
      { path: this.#file.path },
    );
  }

  #seriesOf(row: readonly unknown[]): Series {
    const [nodeId, definitionId, key, interval, schema] = storedSeries.parse([
      ...row.slice(0, 4),
      JSON.parse(String(row[4])),
    ]);
    const name = row[5];
    const named = typeof name === "string" ? { name } : {};
    return { nodeId, definitionId, key, interval, schema, ...named };
  }

  /** @throws QmtlError STORE_REJECTED if the node is stored with other fields. */
  #idOf(series: Series): number | undefined {
    const row = this.#file
      .query("SELECT id, schema FROM series WHERE node = ?")
      .values(series.nodeId)[0];
    if (row === undefined) return undefined;
    if (row[1] === JSON.stringify(series.schema)) return Number(row[0]);
    throw rejected(series, `its fields differ from those that are stored, ${String(row[1])}`);
  }

  #makeId(series: Series): number {
    const { nodeId, definitionId, key, interval, schema, name = null } = series;
    const known = this.#idOf(series);
    if (known !== undefined) {
      if (name !== null) {
        this.#file
          .query("UPDATE series SET name = ?1 WHERE id = ?2 AND name IS NOT ?1")
          .run(name, known);
      }
      return known;
    }
    const made = this.#file
      .query(
        "INSERT INTO series (node, definition, key, interval, schema, name) VALUES (?, ?, ?, ?, ?, ?)",
      )
      .run(nodeId, definitionId, key, interval, JSON.stringify(schema), name);
    return Number(made.lastInsertRowid);
  }

  /** The last cell with rows that opens at or before `timeMs`, `timeMs` if there is none. */
  #cellBefore(id: number, timeMs: number): number {
    const row = this.#file
      .query("SELECT max(start) FROM chunk WHERE node = ? AND start <= ?")
      .values(id, timeMs)[0];
    return typeof row?.[0] === "number" ? row[0] : timeMs;
  }

  /** The cells with rows that may lie in `range`, rising. */
  #cellsIn(id: number, range: TimeRange): readonly number[] {
    return this.#file
      .query("SELECT start FROM chunk WHERE node = ? AND start >= ? AND start < ? ORDER BY start")
      .values(id, this.#cellBefore(id, range.start), range.end)
      .map((row) => Number(row[0]));
  }

  /**
   * Rows of the cells in `range`, rising, about a batch at a time.
   *
   * A writer may be at work between two queries. Without care: the last cell read holds rows up to
   * t; the writer fills that cell and the next one; the reader goes on behind the cell, and what
   * came after t in it is lost from the middle of its answer. So each query also takes the last
   * cell again if its count has changed, and only rows behind those that were yielded go out.
   */
  *#chunks(id: number, range: TimeRange, columnCount: number): Iterable<ColumnBatch> {
    let limit = 1;
    let last = {
      cell: this.#file.guard("read rows", () => this.#cellBefore(id, range.start)),
      count: 0,
      ts: Number.NEGATIVE_INFINITY,
      seq: 0,
    };
    for (;;) {
      const found = this.#file.guard("read rows", () =>
        this.#file
          .query(
            `SELECT start, n, cols FROM chunk
             WHERE node = ?1 AND start >= ?2 AND start < ?3 AND (start > ?2 OR n <> ?4)
             ORDER BY start LIMIT ?5`,
          )
          .values(id, last.cell, range.end, last.count, limit),
      );
      for (const [start, n, cols] of found) {
        const chunk = this.#decode(cols, Number(n), columnCount);
        const { count } = chunk;
        yield sliceColumns(chunk, rowAfter(chunk, last.ts, last.seq), count);
        const [ts = last.ts, seq = 0] = [chunk.ts[count - 1], chunk.seq[count - 1]];
        const isBehind = ts < last.ts || (ts === last.ts && seq <= last.seq);
        last = { ...(isBehind ? last : { ts, seq }), cell: Number(start), count };
        // Chunks of trades hold any number of rows: ask for about a batch at a time.
        limit = Math.max(1, Math.floor(batchRowsMax / count));
      }
      if (found.length === 0) return;
    }
  }

  #chunkAt(id: number, start: number, columnCount: number): ColumnBatch | undefined {
    const row = this.#file
      .query("SELECT n, cols FROM chunk WHERE node = ? AND start = ?")
      .values(id, start)[0];
    return row && this.#decode(row[1], Number(row[0]), columnCount);
  }

  #decode(cols: unknown, count: number, columnCount: number): ColumnBatch {
    const chunk = cols instanceof Uint8Array ? decodeChunk(cols, count, columnCount) : undefined;
    if (chunk !== undefined && count > 0) return chunk;
    throw new QmtlError(
      "STORE_CORRUPT",
      `Cannot read "${this.#file.path}": a chunk of ${count} rows has another length, wanted ${count * 8 * (2 + columnCount)} bytes`,
      { path: this.#file.path },
    );
  }

  #putChunk(id: number, start: number, rows: ColumnBatch): void {
    if (rows.count === 0) {
      this.#file.query("DELETE FROM chunk WHERE node = ? AND start = ?").run(id, start);
      return;
    }
    this.#file
      .query(
        `INSERT INTO chunk (node, start, n, cols) VALUES (?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET n = excluded.n, cols = excluded.cols`,
      )
      .run(id, start, rows.count, this.#encoder.encode(rows));
  }

  /** Ranges that may touch `range`, and perhaps one before it of each kind. */
  #coverageAround(id: number, range: TimeRange): Coverage {
    const read = (kind: number): readonly TimeRange[] =>
      this.#file
        .query(
          `SELECT start, "end" FROM coverage
           WHERE node = ?1 AND kind = ?2 AND start <= ?4 AND start >= coalesce(
             (SELECT max(start) FROM coverage WHERE node = ?1 AND kind = ?2 AND start <= ?3), ?3)
           ORDER BY start`,
        )
        .values(id, kind, range.start, range.end)
        .map((row) => ({ start: Number(row[0]), end: Number(row[1]) }));
    return { have: read(kinds.have), empty: read(kinds.empty) };
  }

  /** Changes coverage around `range` only: a series may have thousands of ranges. */
  #changeCoverage(id: number, range: TimeRange, change: (known: Coverage) => Coverage): void {
    const known = this.#coverageAround(id, range);
    const next = change(known);
    const remove = this.#file.query(
      "DELETE FROM coverage WHERE node = ? AND kind = ? AND start = ?",
    );
    const add = this.#file.query(
      `INSERT INTO coverage (node, kind, start, "end") VALUES (?, ?, ?, ?)`,
    );
    for (const name of ["have", "empty"] as const) {
      for (const { start } of known[name]) remove.run(id, kinds[name], start);
      for (const { start, end } of next[name]) add.run(id, kinds[name], start, end);
    }
  }
}

function hasNames(file: StoreFile): boolean {
  return (
    file.query("SELECT 1 FROM pragma_table_info('series') WHERE name = 'name'").values().length > 0
  );
}

/** Brings a file of before there were names to where one begins now. */
function addNames(file: StoreFile): void {
  file.transaction("add the column of names", () => {
    if (!hasNames(file)) file.query("ALTER TABLE series ADD COLUMN name TEXT").run();
  });
}

/** The smallest range that holds all of `ranges`; undefined if there is none. */
function hullOf(ranges: readonly TimeRange[]): TimeRange | undefined {
  if (ranges.length === 0) return undefined;
  let start = Number.POSITIVE_INFINITY;
  let end = Number.NEGATIVE_INFINITY;
  for (const range of ranges) {
    start = Math.min(start, range.start);
    end = Math.max(end, range.end);
  }
  return { start, end };
}

/** Index of the first row behind (`ts`, `seq`). */
function rowAfter(rows: ColumnBatch, ts: number, seq: number): number {
  let row = rowAtTime(rows, ts);
  while (row < rows.count && rows.ts[row] === ts && (rows.seq[row] ?? 0) <= seq) row += 1;
  return row;
}

function copyRows(
  source: ColumnBatch,
  from: number,
  count: number,
  target: { readonly batch: ColumnBatch; readonly at: number },
): void {
  const { batch, at } = target;
  batch.ts.set(source.ts.subarray(from, from + count), at);
  batch.seq.set(source.seq.subarray(from, from + count), at);
  for (const [i, column] of batch.columns.entries()) {
    column.set(source.columns[i]?.subarray(from, from + count) ?? [], at);
  }
}

function rejected(series: Series, fault: string): QmtlError {
  return new QmtlError("STORE_REJECTED", `Cannot use the history of "${series.key}": ${fault}`, {
    nodeId: series.nodeId,
  });
}
