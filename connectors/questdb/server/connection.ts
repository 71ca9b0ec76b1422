import { z } from "zod";
import { type Clock, type ColumnBatch, QmtlError, systemClock } from "../../../runtime/index.ts";
import { parseQuestdbUrl, type QuestdbConfig } from "../config.ts";
import { createText, type TableSpec } from "../tables.ts";
import { encodeLines, type Line } from "../write/lines.ts";
import { RowSender } from "../write/row-sender.ts";
import { untilVisible } from "../write/wal-watch.ts";
import { HttpClient } from "./http-client.ts";
import { PagePool } from "./page-pool.ts";
import { PgConnection, type PgQuery } from "./pg-connection.ts";

/** Connections kept to read from; a reader beyond them opens its own. */
const idleReadersMax = 4;
const pgDefaults = { user: "admin", password: "quest" } as const;
const columnRow = z.tuple([z.string(), z.string(), z.boolean()]);

interface Entry {
  readonly connection: Connection;
  users: number;
}

const byUrl = new Map<string, Entry>();

/** One user's hold on the connection to a server. */
export interface Hold {
  readonly connection: Connection;
  /** Closes the connection with its last user; safe to call twice. */
  release(): void;
}

/**
 * The connection that all stores with this URL in this thread share.
 *
 * @throws QmtlError CONFIG_INVALID for a URL it cannot read.
 */
export function holdConnection(url: string): Hold {
  const entry = byUrl.get(url) ?? { connection: new Connection(parseQuestdbUrl(url)), users: 0 };
  byUrl.set(url, entry);
  entry.users += 1;
  let isHeld = true;
  const release = (): void => {
    if (!isHeld) return;
    isHeld = false;
    entry.users -= 1;
    if (entry.users > 0) return;
    byUrl.delete(url);
    entry.connection.close();
  };
  return { connection: entry.connection, release };
}

/** A server: requests, rows on their way, readers, and what is known of its tables. */
export class Connection {
  readonly config: QuestdbConfig;
  readonly clock: Clock = systemClock;
  readonly http: HttpClient;
  readonly sender: RowSender;
  readonly pages = new PagePool();
  /** Tables that are there, and those that are as we want them. */
  readonly #found = new Set<string>();
  readonly #checked = new Set<string>();
  readonly #readers = new Set<PgConnection>();
  readonly #idleReaders: PgConnection[] = [];
  #pgPort: number | undefined;

  constructor(config: QuestdbConfig) {
    this.config = config;
    this.http = new HttpClient({ config, clock: this.clock, chance: Math.random });
    this.sender = new RowSender(this.http, config);
    this.#pgPort = config.pgPort;
  }

  /**
   * Makes the table if it is not there.
   *
   * @throws QmtlError STORE_REJECTED if it is there and differs.
   */
  async makeTable(spec: TableSpec, signal: AbortSignal): Promise<void> {
    if (this.#checked.has(spec.name)) return;
    await this.http.query(createText(spec), signal);
    await this.#checkTable(spec, signal);
    this.#checked.add(spec.name);
    this.#found.add(spec.name);
  }

  /** True if the table is there: a reader makes none. */
  async hasTable(name: string, signal: AbortSignal): Promise<boolean> {
    if (this.#found.has(name)) return true;
    const rows = await this.http.query(
      `SELECT table_name FROM tables() WHERE table_name = '${name}'`,
      signal,
    );
    if (rows.length > 0) this.#found.add(name);
    return rows.length > 0;
  }

  /**
   * Writes rows of the small tables; resolves once they are in the log.
   *
   * @throws QmtlError STORE_REJECTED with the server's words.
   */
  async writeLines(lines: readonly Line[], signal: AbortSignal): Promise<void> {
    for (let from = 0; from < lines.length; from += this.config.batchRowsMax) {
      const some = lines.slice(from, from + this.config.batchRowsMax);
      const refusal = await this.http.write(encodeLines(some), signal);
      if (refusal === undefined) continue;
      throw new QmtlError(
        "STORE_REJECTED",
        `Cannot write to "${some[0]?.table ?? ""}": QuestDB said "${refusal.reason}", wanted it accepted`,
      );
    }
  }

  /** Waits until readers see what is committed to `tables`. */
  async untilVisible(tables: readonly string[], signal: AbortSignal): Promise<void> {
    const options = { clock: this.clock, stillMsMax: this.config.walMsMax };
    await untilVisible(this.http, tables, options, signal);
  }

  /** Fills `target` with the rows of `query`; returns how many. Tried again as `HttpClient` does. */
  async read(query: PgQuery, target: ColumnBatch, signal: AbortSignal): Promise<number> {
    return await this.http.retried("read rows", signal, async () => {
      const reader = await this.#reader(signal);
      try {
        return await reader.read(query, target, signal);
      } finally {
        this.#keep(reader);
      }
    });
  }

  /** Ends what is under way with STORE_CLOSED. */
  close(): void {
    const reason = new QmtlError(
      "STORE_CLOSED",
      "Cannot use the store: it was closed, wanted it open",
    );
    this.sender.close(reason);
    this.http.close(reason);
    for (const reader of this.#readers) reader.close();
  }

  async #reader(signal: AbortSignal): Promise<PgConnection> {
    for (let idle = this.#idleReaders.pop(); idle !== undefined; idle = this.#idleReaders.pop()) {
      if (idle.isOpen) return idle;
      this.#readers.delete(idle);
    }
    const { host, user, password, requestMsMax, tls } = this.config;
    const port = (this.#pgPort ??= await this.#askPgPort(signal));
    const login = user === undefined ? pgDefaults : { user, password: password ?? "" };
    // A socket wants an IPv6 address without the brackets of a URL.
    const address = {
      host: host.replaceAll(/[[\]]/g, ""),
      port,
      tls,
      ...login,
      silenceMsMax: requestMsMax,
    };
    const reader = await PgConnection.open(address, signal);
    this.#readers.add(reader);
    return reader;
  }

  #keep(reader: PgConnection): void {
    if (reader.isOpen && this.#idleReaders.length < idleReadersMax) {
      this.#idleReaders.push(reader);
      return;
    }
    reader.close();
    this.#readers.delete(reader);
  }

  async #askPgPort(signal: AbortSignal): Promise<number> {
    const rows = await this.http.query(
      "(SHOW PARAMETERS) WHERE property_path = 'pg.net.bind.to'",
      signal,
    );
    const port = Number(/(\d+)$/.exec(String(rows[0]?.[2]))?.[1]);
    if (port >= 1 && port <= 65_535) return port;
    throw new QmtlError(
      "CONFIG_INVALID",
      `Cannot read rows: QuestDB does not tell its PostgreSQL port, wanted it or questdb://…?pgPort=PORT`,
    );
  }

  async #checkTable({ name, columns, identity }: TableSpec, signal: AbortSignal): Promise<void> {
    const rows = await this.http.query(
      `SELECT "column", type, upsertKey FROM table_columns('${name}')`,
      signal,
    );
    const found = new Map(
      rows.map((row): [string, readonly [string, boolean]] => {
        const [column, type, isKey] = columnRow.parse(row);
        return [column, [type, isKey]];
      }),
    );
    for (const [column, type] of Object.entries(columns)) {
      const [kind = "no column", isKey = false] = found.get(column) ?? [];
      const wanted = type.split(" ")[0];
      if (kind === wanted && isKey === identity.includes(column)) continue;
      throw new QmtlError(
        "STORE_REJECTED",
        `Cannot use the table "${name}": its column "${column}" is ${kind}${isKey ? " and a DEDUP key" : ""}, wanted ${wanted}${identity.includes(column) ? " and a DEDUP key" : ""} (create_table.sql)`,
        { table: name, column },
      );
    }
  }
}
