/**
 * Cost of a bar to a real QuestDB and back.
 * Measures: one page of bars until it is visible with its coverage, and all of it read into columns.
 * Does not measure: a network, a table that is full, many writers. Client and server share the
 * cores. The limits send the same lines with `fetch` to a table of their own until they are
 * visible, and read the same rows of the same table in the same form: one query over an open socket
 * whose bytes are dropped as they come. The baseline of writing is the official client, on a tenth
 * of the rows.
 */
import { connect, type Socket } from "node:net";
import { Sender } from "@questdb/nodejs-client";
import { openHistory } from "../../connectors/questdb/index.ts";
import { createText, rowsSpec, rowsTable } from "../../connectors/questdb/tables.ts";
import { type QuestdbServer, startQuestdb } from "../../runtime/cli/servers/index.ts";
import {
  type ColumnBatch,
  type HistoryStore,
  IlpEncoder,
  IlpSeries,
  newColumnBatch,
  type Series,
  sliceColumns,
} from "../../runtime/index.ts";
import { type Measured, medianOf, type Suite } from "../harness.ts";
import { bars } from "../market.ts";

const rounds = 3;
/** Reads of either kind in a round, which take turns; the fastest counts: other work only adds. */
const readsPerRound = 20;
const countMin = 300_000;
const countMax = 400_000;
const minuteMs = 60_000;
const startMs = Date.UTC(2021, 0, 1);
const requestRows = 50_000;
const requestBytes = 2 ** 23;
const inFlight = 2;
const series: Series = {
  nodeId: "0123456789abcdef0123456789abcdef",
  definitionId: "fedcba9876543210fedcba9876543210",
  key: "BTCUSDT",
  interval: "1m",
  schema: bars,
};

/** How an answer ends that asks for a password, and one after which the server is ready. */
const authenticationEnd = Buffer.from([0, 0, 0, 3]);
const readyEnd = Buffer.from("Z\0\0\0\u0005I");

/** What a round came to, ns a row. */
interface Round {
  readonly write: number;
  readonly bareWrite: number;
  readonly client: number;
  readonly read: number;
  readonly bareRead: number;
}

/** Bars to QuestDB and back. */
export const questdb: Suite = {
  name: "questdb",
  needsServers: true,
  async measure({ timeMs }, signal): Promise<readonly Measured[]> {
    const count = Math.max(countMin, Math.min(countMax, timeMs * 100));
    const rows = makeBars(count);
    await using server = await startQuestdb({ purpose: "work" });
    const found: Round[] = [];
    // The first round warms both sides up.
    for (let round = 0; round <= rounds; round += 1) {
      const one = await measureRound(server, `r${round}`, rows, signal);
      if (round > 0) found.push(one);
    }
    const median = (name: keyof Round): number => medianOf(found.map((round) => round[name]));
    const times = (other: keyof Round, ours: keyof Round): string =>
      (median(other) / median(ours)).toFixed(2);
    const size = `${count} bars, ${rounds} rounds`;
    const written = `${size}: ${times("client", "write")} × the client (asked ≥ 8), ${times("bareWrite", "write")} of bare lines (asked ≥ 0.9)`;
    const read = `${size}: ${times("bareRead", "read")} of a bare read (asked ≥ 0.7)`;
    return [
      { name: "questdb write", role: "ours", nsPerRecord: median("write"), note: written },
      { name: "the official client, write", role: "baseline", nsPerRecord: median("client") },
      { name: "lines with fetch, write", role: "limit", nsPerRecord: median("bareWrite") },
      { name: "questdb read", role: "ours", nsPerRecord: median("read"), note: read },
      {
        name: "the same query's bytes from a socket, read",
        role: "limit",
        nsPerRecord: median("bareRead"),
      },
    ];
  },
};

async function measureRound(
  server: QuestdbServer,
  name: string,
  rows: ColumnBatch,
  signal: AbortSignal,
): Promise<Round> {
  const { port } = server;
  const tables = { bare: `bare_${name}`, client: `client_${name}` };
  for (const table of Object.values(tables)) await query(port, createText(rowsSpec(table, bars)));
  const url = `${server.url}?prefix=ours_${name}`;
  const store = await openHistory(url, { mode: "write", isSimulated: false }, signal);
  // A page of one bar makes the table: the others have theirs too.
  await store.persist(series, pageOf(sliceColumns(rows, 0, 1)), signal);
  const perRow = async (count: number, run: () => Promise<unknown>): Promise<number> => {
    const began = performance.now();
    await run();
    return ((performance.now() - began) * 1e6) / count;
  };
  const write = await perRow(
    rows.count,
    async () => await store.persist(series, pageOf(rows), signal),
  );
  const bareWrite = await perRow(rows.count, async () => await writeBare(port, tables.bare, rows));
  const some = sliceColumns(rows, 0, Math.ceil(rows.count / 10));
  const client = await perRow(some.count, async () => await writeClient(port, tables.client, some));
  const table = rowsTable(`ours_${name}`, bars, false);
  const bare = await BareReader.open(server.pgPort);
  let [read, bareRead] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  for (let i = 0; i < readsPerRound; i += 1) {
    const ours = await perRow(rows.count, async () => await readAll(store, rows.count, signal));
    const theirs = await perRow(rows.count, async () => await bare.read(table, rows.count));
    read = Math.min(read, ours);
    bareRead = Math.min(bareRead, theirs);
  }
  bare.close();
  await store.close();
  return { write, bareWrite, client, read, bareRead };
}

function makeBars(count: number): ColumnBatch {
  const kinds = Object.values(bars);
  const batch = newColumnBatch(count, kinds.length);
  for (let i = 0; i < count; i += 1) {
    batch.ts[i] = startMs + i * minuteMs;
    for (const [f, column] of batch.columns.entries()) {
      column[i] = kinds[f] === "f64" ? 100 + ((i * 7 + f) % 1_000) / 64 : batch.ts[i]! + f;
    }
  }
  return batch;
}

function pageOf(rows: ColumnBatch) {
  const end = rows.ts[rows.count - 1]! + minuteMs;
  return { rows, have: [{ start: rows.ts[0]!, end }], empty: [] };
}

async function readAll(store: HistoryStore, count: number, signal: AbortSignal): Promise<void> {
  let found = 0;
  const range = { start: startMs, end: startMs + count * minuteMs };
  for await (const batch of store.fetch(series, range, signal)) found += batch.count;
  if (found !== count) throw new Error(`Read ${found} rows, wanted ${count}`);
}

/** The loop one would write by hand: encode, post, no retries, then wait until it is visible. */
async function writeBare(port: number, table: string, rows: ColumnBatch): Promise<void> {
  const lines = IlpSeries.of(series, table);
  let next = 0;
  const post = async (): Promise<void> => {
    const encoder = new IlpEncoder({ bytesMax: requestBytes, timeUnit: "us" });
    while (next < rows.count) {
      encoder.reset();
      const to = Math.min(rows.count, next + requestRows);
      next += encoder.append(lines, sliceColumns(rows, next, to));
      const body = encoder.written();
      const answer = await fetch(`http://127.0.0.1:${port}/write`, { method: "POST", body });
      if (answer.status !== 204) throw new Error(await answer.text());
    }
  };
  await Promise.all(Array.from({ length: inFlight }, post));
  await untilVisible(port, table, rows.count);
}

async function writeClient(port: number, table: string, rows: ColumnBatch): Promise<void> {
  const sender = await Sender.fromConfig(
    `http::addr=127.0.0.1:${port};stdlib_http=on;protocol_version=2;auto_flush_rows=${requestRows}`,
  );
  const fields = Object.entries(bars);
  for (let row = 0; row < rows.count; row += 1) {
    sender.table(table).symbol("node_id", series.nodeId);
    sender.symbol("definition_id", series.definitionId).symbol("key", series.key);
    sender.symbol("interval", series.interval).intColumn("seq", 0);
    for (const [f, [field, kind]] of fields.entries()) {
      const value = rows.columns[f]![row]!;
      if (kind === "f64") sender.floatColumn(field, value);
      else sender.intColumn(field, value);
    }
    await sender.at(rows.ts[row]!, "ms");
  }
  await sender.flush();
  await sender.close();
  await untilVisible(port, table, rows.count);
}

/** What reads with the least: PostgreSQL's protocol with binary rows that nobody looks at. */
class BareReader {
  readonly #socket: Socket;
  #bytes = 0;
  #end: Buffer = Buffer.alloc(0);
  #onReady = (): void => undefined;

  static async open(port: number): Promise<BareReader> {
    const reader = new BareReader(connect({ port, host: "127.0.0.1" }));
    const words = ["user", "admin", "database", "qdb", ""];
    const version = int32(196_608);
    await reader.#ask(message("", version, `${words.join("\0")}\0`), authenticationEnd);
    await reader.#ask(message("p", "quest\0"), readyEnd);
    return reader;
  }

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (chunk: Buffer) => {
      this.#bytes += chunk.length;
      if (chunk.subarray(-this.#end.length).equals(this.#end)) this.#onReady();
    });
  }

  /** Reads all rows of `table` with one query. */
  async read(table: string, count: number): Promise<void> {
    const fields = Object.keys(bars);
    const sql = `SELECT ts::long / 1000, seq, ${fields.join(", ")} FROM ${table} WHERE node_id = '${series.nodeId}' AND removed = false ORDER BY ts`;
    this.#bytes = 0;
    const request = Buffer.concat([
      message("P", "\0", `${sql}\0`, "\0\0"),
      message("B", "\0\0\0\0\0\0\0\u0001\0\u0001"),
      message("E", "\0", int32(0)),
      message("S"),
    ]);
    await this.#ask(request, readyEnd);
    // A letter, a length and a count, then a length and 8 bytes for each value.
    const wanted = count * (7 + (2 + fields.length) * 12);
    if (this.#bytes < wanted) throw new Error(`Read ${this.#bytes} bytes, wanted ${wanted}`);
  }

  close(): void {
    this.#socket.destroy();
  }

  /** Resolves once an answer ends with `end`. */
  async #ask(request: Buffer, end: Buffer): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#end = end;
    this.#onReady = resolve;
    this.#socket.once("error", reject);
    this.#socket.write(request);
    await promise;
    this.#socket.off("error", reject);
  }
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

function message(kind: string, ...parts: readonly (string | Buffer)[]): Buffer {
  const body = Buffer.concat(parts.map((part) => Buffer.from(part as string)));
  return Buffer.concat([Buffer.from(kind), int32(body.length + 4), body]);
}

async function query(port: number, sql: string): Promise<unknown> {
  const answer = await fetch(`http://127.0.0.1:${port}/exec?query=${encodeURIComponent(sql)}`);
  const { dataset } = (await answer.json()) as { dataset?: unknown[][] };
  return dataset?.[0]?.[0];
}

async function untilVisible(port: number, table: string, count: number): Promise<void> {
  while ((await query(port, `SELECT count() FROM ${table}`)) !== count) await Bun.sleep(2);
}
