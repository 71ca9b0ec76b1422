import { createHash } from "node:crypto";
import { type FieldKind, isSameSchema, kline, type Schema } from "../../runtime/index.ts";

/**
 * The tables of a store. Nothing is ever deleted from a QuestDB table, so what is forgotten is
 * marked as `removed`; a later write of the same identity replaces the row and with it the mark.
 *
 *   rows         one table per schema; identity (ts, node_id, seq)
 *   coverage     one row per range of a page; ts = start of the range
 *   series       what each node_id stands for; ts is always 0
 *   names        its name for people, if it has one; ts is always 0
 *   deadLetters  rows the server refused, with its words; ts = when
 *   store        version of this layout; ts is always 0
 *
 *   T1  Each has DEDUP on its identity, so that a request of unknown outcome is sent again.
 *   T2  A NULL number is a NaN. So no field is BYTE, SHORT or BOOLEAN: those have no NULL.
 *   T3  The log (WAL) of one table is one order for all writers: what was removed before a write
 *       was sent is not removed after it.
 */
export interface StoreTables {
  readonly coverage: string;
  readonly series: string;
  readonly names: string;
  readonly deadLetters: string;
  readonly store: string;
}

/** Version of the layout of all tables. */
export const layoutVersion = 1;

/** Names of the tables that are not rows. */
export function storeTables(prefix: string, isSimulated: boolean): StoreTables {
  const name = (part: string): string => `${prefix}_${part}${suffixOf(isSimulated)}`;
  return {
    coverage: name("coverage"),
    series: name("series"),
    names: name("names"),
    deadLetters: name("dead_letters"),
    store: name("store"),
  };
}

/** Name of the table that rows of `schema` lie in: `qmtl_kline`, else `qmtl_` and a hash of it. */
export function rowsTable(prefix: string, schema: Schema, isSimulated: boolean): string {
  const text = JSON.stringify(Object.entries(schema));
  const hash = createHash("sha256").update(text).digest("hex").slice(0, 16);
  const part = isSameSchema(schema, kline) ? "kline" : hash;
  return `${prefix}_${part}${suffixOf(isSimulated)}`;
}

function suffixOf(isSimulated: boolean): string {
  return isSimulated ? "_simulated" : "";
}

/** `ms`, a whole number, as the text of the server's unit; exact where a float64 would not be. */
export function microseconds(ms: number): string {
  return ms === 0 ? "0" : `${ms}000`;
}

const typeOf = {
  f64: "DOUBLE",
  i64: "LONG",
  u64: "LONG",
  u32: "LONG",
  bool: "INT",
} as const satisfies Record<FieldKind, string>;

const identityColumns = ["node_id", "definition_id", "key", "interval", "seq", "ts", "removed"];

/**
 * `schema` by column name, in order. A name that another column has, in any case of letters, gets
 * its position as a suffix: QuestDB tells `Close` and `close` apart as little as `interval` and ours.
 */
export function columnsOf(schema: Schema): Schema {
  const taken = new Set(identityColumns);
  const columns: Record<string, FieldKind> = {};
  for (const [index, [name, kind]] of Object.entries(schema).entries()) {
    let column = name;
    while (taken.has(column.toLowerCase())) column = `${column}_${index}`;
    taken.add(column.toLowerCase());
    columns[column] = kind;
  }
  return columns;
}

/** A table: its columns in order, its partitions and its identity (T1). */
export interface TableSpec {
  readonly name: string;
  /** Type by column; `SYMBOL` may be followed by its settings. */
  readonly columns: Readonly<Record<string, string>>;
  readonly partitionBy: "MONTH" | "YEAR";
  readonly identity: readonly string[];
}

const manySymbols = "SYMBOL CAPACITY 4096";

/** The table of rows of `schema`. */
export function rowsSpec(name: string, schema: Schema): TableSpec {
  const fields: Record<string, string> = {};
  for (const [column, kind] of Object.entries(columnsOf(schema))) fields[column] = typeOf[kind];
  return {
    name,
    columns: {
      node_id: manySymbols,
      definition_id: "SYMBOL",
      key: manySymbols,
      interval: "SYMBOL",
      seq: "LONG",
      ts: "TIMESTAMP",
      ...fields,
      removed: "BOOLEAN",
    },
    partitionBy: "MONTH",
    identity: ["ts", "node_id", "seq"],
  };
}

/**
 * The table of names: one of its own, so that a store of before needs no change of a table that
 * others write to meanwhile.
 */
export function namesSpec(name: string): TableSpec {
  return {
    name,
    columns: { node_id: manySymbols, name: "VARCHAR", ts: "TIMESTAMP" },
    partitionBy: "YEAR",
    identity: ["ts", "node_id"],
  };
}

/** The other tables of a store. */
export function storeSpecs(tables: StoreTables): readonly TableSpec[] {
  const ts = "TIMESTAMP";
  return [
    {
      name: tables.coverage,
      columns: { node_id: manySymbols, kind: "SYMBOL", ts, end_ms: "LONG", removed: "BOOLEAN" },
      partitionBy: "YEAR",
      identity: ["ts", "node_id", "kind", "end_ms"],
    },
    {
      name: tables.series,
      columns: {
        node_id: manySymbols,
        definition_id: "SYMBOL",
        key: "VARCHAR",
        interval: "SYMBOL",
        fields: "VARCHAR",
        ts,
      },
      partitionBy: "YEAR",
      identity: ["ts", "node_id"],
    },
    namesSpec(tables.names),
    {
      name: tables.deadLetters,
      columns: {
        node_id: manySymbols,
        row_table: "SYMBOL",
        row_ms: "DOUBLE",
        seq: "DOUBLE",
        fields: "VARCHAR",
        reason: "VARCHAR",
        ts,
      },
      partitionBy: "MONTH",
      identity: ["ts", "node_id", "row_ms", "seq"],
    },
    {
      name: tables.store,
      columns: { version: "LONG", ts },
      partitionBy: "YEAR",
      identity: ["ts"],
    },
  ];
}

/** The statement that makes `spec`, once. */
export function createText({ name, columns, partitionBy, identity }: TableSpec): string {
  const lines = Object.entries(columns).map(([column, type]) => `  "${column}" ${type}`);
  return `CREATE TABLE IF NOT EXISTS "${name}" (
${lines.join(",\n")}
) TIMESTAMP(ts) PARTITION BY ${partitionBy} WAL DEDUP UPSERT KEYS(${identity.join(", ")})`;
}

/** The text of `create_table.sql`: all tables of a store of bars under the default prefix. */
export function createTableSql(): string {
  const specs = [
    rowsSpec(rowsTable("qmtl", kline, false), kline),
    ...storeSpecs(storeTables("qmtl", false)),
  ];
  return [heading, ...specs.map((spec) => `${createText(spec)};\n`)].join("\n");
}

const heading = `-- Tables of a history store of bars. The store applies this itself when it is opened to write;
-- it is here for people. Rows of another schema lie in a table of their own, qmtl_ and a hash of
-- the schema; simulated rows in tables with the suffix _simulated.
--
-- ts is the open time of a bar. NULL is a NaN: no value. A bool is INT, 0 or 1, for the same reason.
-- Rows with removed = true were forgotten (QuestDB deletes no rows): leave them out.
`;
