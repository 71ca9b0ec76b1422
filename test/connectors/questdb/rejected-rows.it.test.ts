import { expect, test } from "bun:test";
import { parseQuestdbUrl } from "../../../connectors/questdb/config.ts";
import {
  type DeadLetter,
  openHistory,
  questdbRecorder,
} from "../../../connectors/questdb/index.ts";
import { HttpClient } from "../../../connectors/questdb/server/http-client.ts";
import { createText, rowsSpec } from "../../../connectors/questdb/tables.ts";
import { RowSender, TooManyRejections } from "../../../connectors/questdb/write/row-sender.ts";
import { hasCode, IlpSeries, kline, systemClock } from "../../../runtime/index.ts";
import { failureOf } from "../../contract/failure-of.ts";
import { describeWithServers, uniqueName } from "../../harness/servers.ts";
import { at, bars, barsIn, barsOf, newSeries, numbers, query, signal, t0 } from "./klines.ts";

const write = { mode: "write", isSimulated: false } as const;

describeWithServers(["questdb"], "rows that QuestDB refuses", (started) => {
  /** A sender to a table that has only 16 bits for `trades`. */
  async function narrow(settings = "") {
    const { port, url } = started().questdb;
    const table = uniqueName("narrow");
    const text = createText(rowsSpec(table, kline));
    await query(port, text.replace('"trades" LONG', '"trades" SHORT'));
    const config = parseQuestdbUrl(`${url}?${settings}`);
    const client = new HttpClient({ config, clock: systemClock, chance: Math.random });
    const sender = new RowSender(client, config);
    const landed = async (key: string, count: number): Promise<readonly number[]> => {
      const sql = `SELECT ts::long / 60000000 FROM ${table} WHERE key = '${key}'`;
      let rows: readonly (readonly unknown[])[] = [];
      while (rows.length < count) rows = await query(port, sql);
      return rows.map(([minute]) => Number(minute) - t0 / 60_000);
    };
    const linesOf = (key: string): IlpSeries => IlpSeries.of(newSeries({ key }), table);
    return { sender, linesOf, landed };
  }

  test("3 of 10,000 are told with the server's words; all others land", async () => {
    const { sender, linesOf, landed } = await narrow();
    const rows = barsOf(0, 10_000);
    const bad = [0, 5_000, 9_999];
    for (const row of bad) rows.columns[7]![row] = 40_000;
    const rejections = await sender.send(linesOf("A"), rows, signal());
    expect(rejections.map(({ row }) => row)).toEqual(bad);
    for (const { reason } of rejections) expect(reason).toMatch(/trades.*SHORT/);
    const good = numbers(0, 10_000).filter((bar) => !bad.includes(bar));
    expect(await landed("A", 9_997)).toEqual(good);
  });

  test("of one caller leave another caller's rows in the same request alone", async () => {
    const { sender, linesOf, landed } = await narrow("batchMsMax=50");
    const rows = barsOf(0, 300);
    rows.columns[7]!.fill(40_000, 100, 102);
    const [mine, others] = await Promise.all([
      sender.send(linesOf("A"), rows, signal()),
      sender.send(linesOf("B"), barsOf(0, 300), signal()),
    ]);
    expect(mine.map(({ row }) => row)).toEqual([100, 101]);
    expect(others).toEqual([]);
    expect(await landed("B", 300)).toEqual(numbers(0, 300));
    expect(await landed("A", 298)).toEqual([...numbers(0, 100), ...numbers(102, 300)]);
  });

  test("are found in requests of any size", async () => {
    const { sender, linesOf, landed } = await narrow("batchRowsMax=7&batchBytesMax=65536");
    const rows = barsOf(0, 100);
    const bad = [6, 7, 50, 99];
    for (const row of bad) rows.columns[7]![row] = -40_000;
    const rejections = await sender.send(linesOf("A"), rows, signal());
    expect(rejections.map(({ row }) => row)).toEqual(bad);
    expect((await landed("A", 96)).length).toBe(96);
  });

  test("are no more than rejectedRowsMax, else the page is refused", async () => {
    const { sender, linesOf } = await narrow("rejectedRowsMax=3");
    const rows = barsOf(0, 50);
    rows.columns[7]!.fill(40_000);
    const failure = await failureOf(sender.send(linesOf("A"), rows, signal()));
    expect(failure).toBeInstanceOf(TooManyRejections);
    expect(String(failure)).toMatch(/more than 3 rows.*SHORT/);
  });

  test("lie in the dead letters, and their bars stay missing", async () => {
    const { port, url } = started().questdb;
    const prefix = uniqueName("rejected");
    const letters: DeadLetter[] = [];
    const options = { ...write, onDeadLetter: (letter: DeadLetter) => letters.push(letter) };
    const store = await openHistory(`${url}?prefix=${prefix}`, options, signal());
    const series = newSeries();
    const rows = barsOf(0, 1_000);
    rows.columns[5]![500] = 0.5;
    rows.columns[0]![999] = Number.POSITIVE_INFINITY;
    await store.persist(series, { rows, have: [bars(0, 1_000)], empty: [] }, signal());
    expect(await barsIn(store, series)).toEqual([...numbers(0, 500), ...numbers(501, 999)]);
    // A bar that is not stored is not had: whoever completes the history asks for it again.
    const { have } = await store.coverage(series, signal());
    expect(have).toEqual([bars(0, 500), bars(501, 999)]);
    expect(letters.map(({ ts }) => ts)).toEqual([at(500), at(999)]);
    const table = `${prefix}_dead_letters`;
    let stored: readonly (readonly unknown[])[] = [];
    while (stored.length < 2) {
      stored = await query(port, `SELECT row_ms, fields, reason FROM ${table} ORDER BY row_ms`);
    }
    expect(stored.map(([ms]) => ms)).toEqual([at(500), at(999)]);
    expect(JSON.parse(String(stored[0]![1]))).toMatchObject({ closeTime: "0.5", open: "500" });
    expect(stored[1]![2]).toBe(letters[1]!.reason);
    await store.close();
  });

  test("for their time are dead letters too, in the server's words where it has some", async () => {
    const letters: DeadLetter[] = [];
    const url = `${started().questdb.url}?prefix=${uniqueName("rejected")}`;
    const recorder = questdbRecorder({ url, onDeadLetter: (letter) => letters.push(letter) });
    const series = newSeries();
    const rows = barsOf(0, 3);
    const after = Date.UTC(10_000, 0, 1);
    rows.ts[0] = -1;
    rows.ts[2] = after;
    await recorder.persist(series, { rows, have: [], empty: [] }, signal());
    await recorder.close();
    expect(letters.map(({ ts }) => ts)).toEqual([-1, after]);
    expect(letters[0]!.reason).toContain("before 1970-01-01 is not allowed");
    expect(letters[1]!.reason).toContain("9999");
    const store = await openHistory(url, { ...write, mode: "read" }, signal());
    expect(await barsIn(store, series)).toEqual([1]);
    await store.close();
  });

  test("in a page without end give STORE_REJECTED, and its range stays missing", async () => {
    const url = `${started().questdb.url}?prefix=${uniqueName("rejected")}&rejectedRowsMax=3`;
    const store = await openHistory(url, write, signal());
    const series = newSeries();
    const rows = barsOf(0, 50);
    rows.columns[5]!.fill(0.5);
    const page = { rows, have: [bars(0, 50)], empty: [] };
    const failure = await failureOf(store.persist(series, page, signal()));
    expect(hasCode(failure, "STORE_REJECTED")).toBe(true);
    expect(await store.coverage(series, signal())).toEqual({ have: [], empty: [] });
    await store.close();
  });
});
