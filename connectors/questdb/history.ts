import { z } from "zod";
import {
  type ColumnBatch,
  type Coverage,
  coverageWith,
  faultOfRows,
  type HistoryOpenOptions,
  type HistoryPage,
  type HistoryStore,
  IlpSeries,
  Interval,
  mergeRanges,
  QmtlError,
  type Series,
  subtractRanges,
  type TimeRange,
} from "../../runtime/index.ts";
import { readRows } from "./read-rows.ts";
import { idOf, rejected, SeriesTable } from "./series-table.ts";
import { type Connection, type Hold, holdConnection } from "./server/connection.ts";
import {
  columnsOf,
  layoutVersion,
  microseconds,
  rowsSpec,
  rowsTable,
  type StoreTables,
  storeSpecs,
  storeTables,
} from "./tables.ts";
import { type Line } from "./write/lines.ts";
import { type Rejection, TooManyRejections } from "./write/row-sender.ts";

/** A row that was not stored; it lies in the table of dead letters. */
export interface DeadLetter {
  readonly series: Series;
  /** Open time, ms, and sequence number of the row. */
  readonly ts: number;
  readonly seq: number;
  /** The server's words, or the encoder's. */
  readonly reason: string;
}

/** How a store is opened here, beyond the contract. */
export interface QuestdbOpenOptions extends HistoryOpenOptions {
  /** Told each row that was not stored. */
  readonly onDeadLetter?: (letter: DeadLetter) => void;
}

/** QuestDB's time begins at 1970 and ends with the year 9999. */
const wholeTime: TimeRange = { start: 0, end: Date.UTC(10_000, 0, 1) };
const kinds = ["have", "empty"] as const;

const coverageRow = z.tuple([z.enum(kinds), z.number(), z.number()]);

interface RangeOfKind extends TimeRange {
  readonly kind: (typeof kinds)[number];
}

/**
 * Opens `questdb://host:port`; simulated rows lie in tables with the suffix `_simulated`. A writer
 * makes the tables that are not there.
 *
 * @throws QmtlError CONFIG_INVALID, STORE_UNAVAILABLE, STORE_VERSION_UNKNOWN, STORE_REJECTED.
 */
export async function openHistory(
  url: string,
  options: QuestdbOpenOptions,
  signal: AbortSignal,
): Promise<HistoryStore> {
  signal.throwIfAborted();
  const hold = holdConnection(url);
  const store = new QuestdbHistory(hold, options);
  try {
    await store.open(signal);
    return store;
  } catch (error) {
    await store.close();
    throw error;
  }
}

/**
 * History in QuestDB; see `StoreTables` for the layout. The order of a page is what keeps H2 and H4:
 *
 *   1. rows to the log (acknowledged)   a crash here: the page is asked for again, DEDUP merges it
 *   2. rows visible                     a coverage that is seen never speaks of rows that are not
 *   3. coverage to the log, visible     a crash before: as in 1
 *
 * A row that the server refuses is a dead letter, and its bar stays missing.
 */
class QuestdbHistory implements HistoryStore {
  readonly capabilities = { writers: "many", isPageAtomic: false } as const;
  readonly #hold: Hold;
  readonly #options: QuestdbOpenOptions;
  readonly #tables: StoreTables;
  readonly #series: SeriesTable;
  #isClosed = false;

  constructor(hold: Hold, options: QuestdbOpenOptions) {
    this.#hold = hold;
    this.#options = options;
    this.#tables = storeTables(hold.connection.config.prefix, options.isSimulated);
    this.#series = new SeriesTable(hold.connection, this.#tables);
  }

  /** Makes the tables, or checks those that are there. */
  async open(signal: AbortSignal): Promise<void> {
    const server = this.#server("open the store", signal);
    const { store } = this.#tables;
    const isThere = await server.hasTable(store, signal);
    const [[version] = []] = isThere
      ? await server.http.query(`SELECT version FROM "${store}" WHERE ts = 0`, signal)
      : [];
    if (version !== undefined && version !== layoutVersion) {
      throw new QmtlError(
        "STORE_VERSION_UNKNOWN",
        `Cannot open the store: its tables "${store}" … have version ${JSON.stringify(version)}, wanted ${layoutVersion}`,
        { table: store },
      );
    }
    if (this.#options.mode === "read" || version !== undefined) return;
    for (const spec of storeSpecs(this.#tables)) await server.makeTable(spec, signal);
    const fields = { version: { integer: layoutVersion } };
    await server.writeLines([{ table: store, symbols: {}, fields, timeMs: 0 }], signal);
    await server.untilVisible([store], signal);
  }

  async coverage(series: Series, signal: AbortSignal): Promise<Coverage> {
    this.#server("read coverage", signal);
    await this.#series.has(series, signal);
    const ranges = await this.#rangesIn(series, wholeTime, signal);
    const of = (kind: string): readonly TimeRange[] =>
      mergeRanges(
        ranges.filter((range) => range.kind === kind).map(({ start, end }) => ({ start, end })),
      );
    return coverageWith({ have: [], empty: [] }, { have: of("have"), empty: of("empty") });
  }

  async *fetch(series: Series, range: TimeRange, signal: AbortSignal): AsyncIterable<ColumnBatch> {
    const server = this.#server("read rows", signal);
    if (!(await this.#series.has(series, signal))) return;
    const table = this.#tableOf(series);
    if (!(await server.hasTable(table, signal))) return;
    for await (const batch of readRows(server, { table, series, range: within(range) }, signal)) {
      yield batch;
      this.#server("read rows", signal);
    }
  }

  async persist(series: Series, page: HistoryPage, signal: AbortSignal): Promise<void> {
    const server = this.#serverToWrite(series, signal);
    const fault = faultOfRows(page.rows, Object.keys(series.schema).length);
    if (fault !== undefined) throw rejected(series, fault);
    const table = this.#tableOf(series);
    const visible = [...(await this.#series.write(series, signal))];
    let rejections: readonly Rejection[] = [];
    if (page.rows.count > 0) {
      await server.makeTable(rowsSpec(table, series.schema), signal);
      rejections = await this.#sendRows(series, page.rows, signal);
      visible.push(table);
    }
    if (visible.length > 0) await server.untilVisible(visible, signal);
    this.#series.know(series);
    await this.#writeRanges(series, rangesOf(page, rejections, series), signal);
  }

  async forget(series: Series, range: TimeRange, signal: AbortSignal): Promise<void> {
    const server = this.#serverToWrite(series, signal);
    const cut = within(range);
    if (!(await this.#series.has(series, signal)) || cut.start >= cut.end) return;
    const { coverage } = this.#tables;
    // Coverage first: it never claims rows that are gone (H2).
    const known = await this.#rangesIn(series, cut, signal);
    if (known.length > 0) {
      await server.http.update(
        `UPDATE "${coverage}" SET removed = true WHERE node_id = '${idOf(series)}' AND ts < ${microseconds(cut.end)} AND end_ms > ${cut.start} AND removed = false`,
        signal,
      );
      const left = known.flatMap(({ kind, start, end }) =>
        subtractRanges([{ start, end }], [cut]).map((part) => ({ ...part, kind })),
      );
      await this.#writeRanges(series, left, signal);
      await server.untilVisible([coverage], signal);
    }
    const table = this.#tableOf(series);
    if (!(await server.hasTable(table, signal))) return;
    await server.http.update(
      `UPDATE "${table}" SET removed = true WHERE node_id = '${idOf(series)}' AND ts >= ${microseconds(cut.start)} AND ts < ${microseconds(cut.end)} AND removed = false`,
      signal,
    );
    await server.untilVisible([table], signal);
  }

  async list(signal: AbortSignal): Promise<readonly Series[]> {
    const server = this.#server("list series", signal);
    const all = await this.#series.list(signal);
    if (all.length === 0) return [];
    const alive = await this.#nodesIn(this.#tables.coverage, signal);
    const tables = new Set(
      all.filter(({ nodeId }) => !alive.has(nodeId)).map((one) => this.#tableOf(one)),
    );
    for (const table of tables) {
      if (!(await server.hasTable(table, signal))) continue;
      for (const nodeId of await this.#nodesIn(table, signal)) alive.add(nodeId);
    }
    return all.filter(({ nodeId }) => alive.has(nodeId));
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#hold.release();
  }

  #server(action: string, signal: AbortSignal): Connection {
    if (this.#isClosed) {
      throw new QmtlError("STORE_CLOSED", `Cannot ${action}: the store is closed, wanted it open`);
    }
    signal.throwIfAborted();
    return this.#hold.connection;
  }

  #serverToWrite(series: Series, signal: AbortSignal): Connection {
    const server = this.#server("write history", signal);
    if (this.#options.mode === "write") return server;
    throw new QmtlError(
      "STORE_READ_ONLY",
      `Cannot write history of "${series.key}": the store is open to read, wanted it open to write`,
    );
  }

  #tableOf({ schema }: Series): string {
    return rowsTable(this.#hold.connection.config.prefix, schema, this.#options.isSimulated);
  }

  /** Sends rows to their table's log; those that are refused become dead letters. */
  async #sendRows(
    series: Series,
    rows: ColumnBatch,
    signal: AbortSignal,
  ): Promise<readonly Rejection[]> {
    const { sender } = this.#hold.connection;
    const table = this.#tableOf(series);
    const lines = IlpSeries.of({ ...series, schema: columnsOf(series.schema) }, table);
    try {
      const rejections = await sender.send(lines, rows, signal);
      if (rejections.length > 0) await this.#bury(series, rows, rejections, signal);
      return rejections;
    } catch (error) {
      if (!(error instanceof TooManyRejections)) throw error;
      throw rejected(series, error.message, error);
    }
  }

  async #bury(
    series: Series,
    rows: ColumnBatch,
    rejections: readonly Rejection[],
    signal: AbortSignal,
  ): Promise<void> {
    const { connection } = this.#hold;
    const names = Object.keys(series.schema);
    const timeMs = connection.clock.now();
    const lines = rejections.map(({ row, reason }): Line => {
      const values = rows.columns.map((column, i) => [names[i], String(column[row])]);
      return {
        table: this.#tables.deadLetters,
        symbols: { node_id: series.nodeId, row_table: this.#tableOf(series) },
        fields: {
          row_ms: { float: rows.ts[row] ?? Number.NaN },
          seq: { float: rows.seq[row] ?? Number.NaN },
          fields: JSON.stringify(Object.fromEntries(values)),
          reason,
        },
        timeMs,
      };
    });
    await connection.writeLines(lines, signal);
    for (const { row, reason } of rejections) {
      const letter = { series, ts: rows.ts[row] ?? Number.NaN, seq: rows.seq[row] ?? Number.NaN };
      this.#options.onDeadLetter?.({ ...letter, reason });
    }
  }

  /** The stored ranges of `series` that touch `range`. */
  async #rangesIn(
    series: Series,
    range: TimeRange,
    signal: AbortSignal,
  ): Promise<readonly RangeOfKind[]> {
    const server = this.#server("read coverage", signal);
    const { coverage } = this.#tables;
    if (!(await server.hasTable(coverage, signal))) return [];
    const rows = await server.http.query(
      `SELECT kind, ts::long / 1000, end_ms FROM "${coverage}" WHERE node_id = '${idOf(series)}' AND ts < ${microseconds(range.end)} AND end_ms > ${range.start} AND removed = false`,
      signal,
    );
    return rows.map((row) => {
      const [kind, start, end] = coverageRow.parse(row);
      return { kind, start, end };
    });
  }

  async #writeRanges(
    series: Series,
    ranges: readonly RangeOfKind[],
    signal: AbortSignal,
  ): Promise<void> {
    if (ranges.length === 0) return;
    const server = this.#server("write coverage", signal);
    const lines = ranges.map(
      ({ kind, start, end }): Line => ({
        table: this.#tables.coverage,
        symbols: { node_id: idOf(series), kind },
        fields: { end_ms: { integer: end } },
        timeMs: start,
      }),
    );
    await server.writeLines(lines, signal);
    await server.untilVisible([this.#tables.coverage], signal);
  }

  async #nodesIn(table: string, signal: AbortSignal): Promise<Set<string>> {
    const rows = await this.#server("list series", signal).http.query(
      `SELECT DISTINCT node_id FROM "${table}" WHERE removed = false`,
      signal,
    );
    return new Set(rows.map(([nodeId]) => String(nodeId)));
  }
}

/** What `page` settles, without the bars of rows that were not stored. */
function rangesOf(
  page: HistoryPage,
  rejections: readonly Rejection[],
  series: Series,
): readonly RangeOfKind[] {
  const interval = Interval.of(series.interval);
  const lost = rejections.map(({ row }) => {
    const ts = page.rows.ts[row] ?? Number.NaN;
    return { start: interval.floor(ts), end: interval.closeOf(ts) };
  });
  return kinds
    .flatMap((kind) =>
      subtractRanges(page[kind], lost).map((range) => ({ ...within(range), kind })),
    )
    .filter(({ start, end }) => start < end);
}

/** `range` in whole ms, inside the server's time. */
function within({ start, end }: TimeRange): TimeRange {
  return {
    start: Math.max(wholeTime.start, Math.ceil(start)),
    end: Math.min(wholeTime.end, Math.ceil(end)),
  };
}
