import { expect, test } from "bun:test";
import { Sender } from "@questdb/nodejs-client";
import { openHistory } from "../../../connectors/questdb/index.ts";
import {
  type ColumnBatch,
  concatColumns,
  type HistoryStore,
  hasCode,
  kline,
  newColumnBatch,
  type Series,
  sliceColumns,
} from "../../../runtime/index.ts";
import { failureOf } from "../../contract/failure-of.ts";
import { describeWithServers, uniqueName } from "../../harness/servers.ts";
import { at, bars, barsOf, newSeries, query, signal, t0 } from "./klines.ts";

const write = { mode: "write", isSimulated: false } as const;

async function allOf(store: HistoryStore, series: Series): Promise<ColumnBatch> {
  const batches: ColumnBatch[] = [];
  for await (const batch of store.fetch(series, { start: 0, end: at(10_000_000) }, signal())) {
    batches.push(concatColumns([batch], batch.columns.length));
  }
  return concatColumns(batches, Object.keys(series.schema).length);
}

/** All numbers of a batch; `toEqual` takes no two NaN of typed arrays for equal. */
function numbersOf({ ts, seq, columns }: ColumnBatch): readonly (readonly number[])[] {
  return [ts, seq, ...columns].map((column) => [...column]);
}

describeWithServers(["questdb"], "rows in QuestDB", (started) => {
  const open = async (prefix = uniqueName("values")): Promise<HistoryStore> =>
    await openHistory(`${started().questdb.url}?prefix=${prefix}`, write, signal());

  // Goal: what we write is what the official client writes, and what we read is what it says.
  // Method: the same random rows through both, into two stores, read by ours and over HTTP.
  test("are the same whether we or the official client wrote them", async () => {
    const [ours, theirs] = [uniqueName("ours"), uniqueName("theirs")];
    const { port } = started().questdb;
    const series = newSeries({ key: "a b,c=d|币" });
    const rows = barsOf(0, 500);
    for (const [i, column] of rows.columns.entries()) {
      const isWhole = i === 5 || i === 7;
      for (let row = 0; row < 500; row += 1) {
        const value = isWhole ? row * 2 ** 43 : (row - 250) * 10 ** ((row % 37) - 18) * 1.1;
        column[row] = row % 11 === i ? Number.NaN : value;
      }
    }
    const store = await open(ours);
    const other = await open(theirs);
    await store.persist(series, { rows, have: [], empty: [] }, signal());
    // The first row makes table and series; the client then writes all of them.
    const first = { ...rows, count: 1 };
    await other.persist(series, { rows: first, have: [], empty: [] }, signal());
    const sender = await Sender.fromConfig(
      `http::addr=127.0.0.1:${port};stdlib_http=on;auto_flush=off;protocol_version=2`,
    );
    for (let row = 0; row < 500; row += 1) {
      sender.table(`${theirs}_kline`).symbol("node_id", series.nodeId);
      sender.symbol("definition_id", series.definitionId).symbol("key", series.key);
      sender.symbol("interval", "1m").intColumn("seq", 0);
      for (const [i, [name, kind]] of Object.entries(kline).entries()) {
        const value = rows.columns[i]![row]!;
        if (Number.isNaN(value)) continue;
        if (kind === "f64") sender.floatColumn(name, value);
        else sender.intColumn(name, value);
      }
      await sender.at(rows.ts[row]!, "ms");
    }
    await sender.flush();
    await sender.close();
    while ((await query(port, `SELECT count() FROM ${theirs}_kline`))[0]![0] !== 500) {
      await Bun.sleep(5);
    }
    expect(numbersOf(await allOf(other, series))).toEqual(numbersOf(rows));
    expect(numbersOf(await allOf(store, series))).toEqual(numbersOf(rows));
    const text = async (table: string): Promise<string> =>
      JSON.stringify(await query(port, `SELECT * FROM ${table}_kline`));
    expect(await text(ours)).toBe(await text(theirs));
    await store.close();
    await other.close();
  });

  test("keep every kind of field, each without a value too, under any field name", async () => {
    const schema = {
      interval: "f64",
      Close: "i64",
      close: "u32",
      removed: "bool",
      f: "u64",
    } as const;
    const series = newSeries({ schema });
    const rows = newColumnBatch(3, 5);
    const values = [
      [1.5, -(2 ** 53), 2 ** 32 - 1, 1, 2 ** 53],
      [Number.NaN, Number.NaN, Number.NaN, Number.NaN, Number.NaN],
      [-1e-300, 7, 0, 0, 0],
    ];
    for (const [row, fields] of values.entries()) {
      rows.ts[row] = at(row);
      for (const [i, value] of fields.entries()) rows.columns[i]![row] = value;
    }
    const store = await open();
    await store.persist(series, { rows, have: [], empty: [] }, signal());
    expect(numbersOf(await allOf(store, series))).toEqual(numbersOf(rows));
    await store.close();
  });

  test("of one ts beyond a batch come once each, by seq, whatever the order of writing", async () => {
    const series = newSeries({ schema: { price: "f64" } });
    const trades = (from: number, step: number, count: number): ColumnBatch => {
      const batch = newColumnBatch(count, 1);
      for (let i = 0; i < count; i += 1) {
        batch.ts[i] = t0;
        batch.seq[i] = from + i * step;
        batch.columns[0]![i] = from + i * step;
      }
      return batch;
    };
    const store = await open();
    const around = newColumnBatch(2, 1);
    around.ts.set([t0 - 1, t0 + 1]);
    await store.persist(series, { rows: trades(1, 2, 40_000), have: [], empty: [] }, signal());
    await store.persist(series, { rows: around, have: [], empty: [] }, signal());
    await store.persist(series, { rows: trades(0, 2, 40_000), have: [], empty: [] }, signal());
    const { count, ts, seq, columns } = await allOf(store, series);
    expect(count).toBe(80_002);
    expect([ts[0], ts[80_001]]).toEqual([t0 - 1, t0 + 1]);
    const wrong = seq.subarray(1, 80_001).findIndex((value, i) => value !== i);
    expect(wrong).toBe(-1);
    expect(columns[0]!.subarray(1, 80_001)).toEqual(seq.subarray(1, 80_001));
    await store.close();
  });

  // A row of 400 fields is longer than what is looked at first where two chunks meet.
  test("of 400 fields come whole, in batches that stay under 8 MiB", async () => {
    const names = Array.from({ length: 400 }, (_, i) => `f${i}`);
    const series = newSeries({ schema: Object.fromEntries(names.map((name) => [name, "f64"])) });
    const rows = newColumnBatch(2_700, 400);
    for (let row = 0; row < 2_700; row += 1) rows.ts[row] = at(row);
    for (const [i, column] of rows.columns.entries()) {
      for (let row = 0; row < 2_700; row += 1) column[row] = i * 10_000 + row;
    }
    const store = await open();
    await store.persist(series, { rows, have: [], empty: [] }, signal());
    let count = 0;
    for await (const batch of store.fetch(series, bars(0, 2_700), signal())) {
      expect(batch.count * 402 * 8).toBeLessThanOrEqual(2 ** 23);
      const wanted = sliceColumns(rows, count, count + batch.count);
      expect(batch.ts).toEqual(wanted.ts);
      expect(batch.columns).toEqual(wanted.columns);
      count += batch.count;
    }
    expect(count).toBe(2_700);
    await store.close();
  });

  test("of readers at the same time and after each other stay apart in reused memory", async () => {
    const store = await open();
    const [low, high] = [newSeries(), newSeries()];
    await store.persist(low, { rows: barsOf(0, 10), have: [], empty: [] }, signal());
    await store.persist(high, { rows: barsOf(50, 60), have: [], empty: [] }, signal());
    const first = async (series: Series): Promise<ColumnBatch> => {
      for await (const batch of store.fetch(series, bars(0, 100), signal())) return batch;
      throw new Error("No batch");
    };
    // Whoever stops reading keeps the batch it has.
    const kept = await first(low);
    const both = Promise.all([allOf(store, low), allOf(store, high), allOf(store, high)]);
    const [lows, ...highs] = await both;
    expect(numbersOf(await allOf(store, high))).toEqual(numbersOf(barsOf(50, 60)));
    for (const found of [kept, lows]) expect(numbersOf(found)).toEqual(numbersOf(barsOf(0, 10)));
    for (const found of highs) expect(numbersOf(found)).toEqual(numbersOf(barsOf(50, 60)));
    await store.close();
  });

  test("of a foreign table of the same name are left alone: STORE_REJECTED", async () => {
    const prefix = uniqueName("foreign");
    const { port } = started().questdb;
    await query(port, `CREATE TABLE ${prefix}_kline (ts TIMESTAMP, node_id SYMBOL) TIMESTAMP(ts)`);
    const store = await open(prefix);
    const failure = await failureOf(
      store.persist(newSeries(), { rows: barsOf(0, 1), have: [], empty: [] }, signal()),
    );
    expect(hasCode(failure, "STORE_REJECTED")).toBe(true);
    expect(String(failure)).toContain(`${prefix}_kline`);
    await store.close();
  });

  test("of a layout of the future are left alone: STORE_VERSION_UNKNOWN", async () => {
    const prefix = uniqueName("future");
    const { port } = started().questdb;
    await (await open(prefix)).close();
    await query(port, `INSERT INTO ${prefix}_store VALUES (2, 0)`);
    while ((await query(port, `SELECT version FROM ${prefix}_store`))[0]![0] !== 2) {
      await Bun.sleep(5);
    }
    const failure = await failureOf(open(prefix));
    expect(hasCode(failure, "STORE_VERSION_UNKNOWN")).toBe(true);
  });

  test("are not reached by a node ID that is none", async () => {
    const store = await open();
    const series = newSeries({ nodeId: "' OR 1=1 --" });
    for (const call of [
      store.coverage(series, signal()),
      store.persist(series, { rows: barsOf(0, 1), have: [], empty: [] }, signal()),
      Array.fromAsync(store.fetch(series, bars(0, 1), signal())),
    ]) {
      expect(hasCode(await failureOf(call), "ARGUMENT_INVALID")).toBe(true);
    }
    await store.close();
  });
});
