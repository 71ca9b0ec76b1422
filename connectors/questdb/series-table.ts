import { z } from "zod";
import {
  intervalNames,
  isSameSchema,
  QmtlError,
  type Schema,
  type Series,
} from "../../runtime/index.ts";
import { type Connection } from "./server/connection.ts";
import { namesSpec, type StoreTables } from "./tables.ts";
import { type Line } from "./write/lines.ts";

/** Series that are known here; beyond it they are asked for again. */
const knownSeriesMax = 100_000;

const fieldList = z.array(z.tuple([z.string(), z.enum(["f64", "i64", "u64", "u32", "bool"])]));
const seriesRow = z.tuple([z.string(), z.string(), z.string(), z.enum(intervalNames), z.string()]);
const nameRow = z.tuple([z.string(), z.string()]);

/** What is stored of a series. */
interface Stored {
  readonly schema: Schema;
  readonly name: string | undefined;
}

/**
 * What each node ID stands for: a row per series, and one with its name in a table of its own, which
 * a store of before there were names does not have until a name is written.
 */
export class SeriesTable {
  readonly #server: Connection;
  readonly #tables: StoreTables;
  readonly #known = new Map<string, Stored>();

  constructor(server: Connection, tables: StoreTables) {
    this.#server = server;
    this.#tables = tables;
  }

  /**
   * True if the series is stored.
   *
   * @throws QmtlError STORE_REJECTED if it is stored with other fields.
   */
  async has(series: Series, signal: AbortSignal): Promise<boolean> {
    return (await this.#storedOf(series, signal)) !== undefined;
  }

  /** Writes what is not stored yet of the series; the tables that have to become visible. */
  async write(series: Series, signal: AbortSignal): Promise<readonly string[]> {
    const stored = await this.#storedOf(series, signal);
    const lines = stored === undefined ? [seriesLine(this.#tables.series, series)] : [];
    const { nodeId, name } = series;
    if (name !== undefined && name !== stored?.name) {
      const table = this.#tables.names;
      await this.#server.makeTable(namesSpec(table), signal);
      lines.push({ table, symbols: { node_id: nodeId }, fields: { name }, timeMs: 0 });
    }
    await this.#server.writeLines(lines, signal);
    return lines.map(({ table }) => table);
  }

  /** Takes note that readers see the series; a page without a name leaves the one there is. */
  know({ nodeId, schema, name = this.#known.get(nodeId)?.name }: Series): void {
    this.#keep(nodeId, { schema, name });
  }

  async list(signal: AbortSignal): Promise<readonly Series[]> {
    return await this.#read("", signal);
  }

  async #storedOf(series: Series, signal: AbortSignal): Promise<Stored | undefined> {
    const stored = this.#known.get(series.nodeId) ?? (await this.#ask(series, signal));
    if (stored === undefined || isSameSchema(stored.schema, series.schema)) return stored;
    const text = JSON.stringify(stored.schema);
    throw rejected(series, `its fields differ from those that are stored, ${text}`);
  }

  async #ask(series: Series, signal: AbortSignal): Promise<Stored | undefined> {
    const [found] = await this.#read(`WHERE node_id = '${idOf(series)}'`, signal);
    if (found === undefined) return undefined;
    return this.#keep(series.nodeId, { schema: found.schema, name: found.name });
  }

  #keep(nodeId: string, stored: Stored): Stored {
    if (this.#known.size >= knownSeriesMax) this.#known.clear();
    this.#known.set(nodeId, stored);
    return stored;
  }

  async #read(where: string, signal: AbortSignal): Promise<readonly Series[]> {
    const { series, names } = this.#tables;
    if (!(await this.#server.hasTable(series, signal))) return [];
    const rows = await this.#server.http.query(
      `SELECT node_id, definition_id, key, interval, fields FROM "${series}" ${where}`,
      signal,
    );
    const named = (await this.#server.hasTable(names, signal))
      ? await this.#server.http.query(`SELECT node_id, name FROM "${names}" ${where}`, signal)
      : [];
    const nameOf = new Map(named.map((row) => nameRow.parse(row)));
    return rows.map((row) => seriesOf(row, nameOf));
  }
}

function seriesLine(table: string, { nodeId, definitionId, key, interval, schema }: Series): Line {
  return {
    table,
    symbols: { node_id: nodeId, definition_id: definitionId, interval },
    fields: { key, fields: JSON.stringify(Object.entries(schema)) },
    timeMs: 0,
  };
}

function seriesOf(row: readonly unknown[], nameOf: ReadonlyMap<string, string>): Series {
  const [nodeId, definitionId, key, interval, fields] = seriesRow.parse(row);
  const schema = Object.fromEntries(fieldList.parse(JSON.parse(fields)));
  const name = nameOf.get(nodeId);
  const series = { nodeId, definitionId, key, interval, schema };
  return name === undefined ? series : { ...series, name };
}

/** The node ID, which goes into statements as it is. @throws QmtlError ARGUMENT_INVALID. */
export function idOf({ nodeId, key }: Series): string {
  if (/^[0-9a-f]{32}$/.test(nodeId)) return nodeId;
  throw new QmtlError(
    "ARGUMENT_INVALID",
    `Cannot use the history of "${key}": its node ID is "${nodeId}", wanted 32 hex digits`,
  );
}

/** The refusal of a series or page, with what is wrong with it. */
export function rejected(series: Series, fault: string, cause?: unknown): QmtlError {
  return new QmtlError(
    "STORE_REJECTED",
    `Cannot use the history of "${series.key}": ${fault}`,
    { nodeId: series.nodeId },
    cause,
  );
}
