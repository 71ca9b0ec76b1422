import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import * as memory from "../../../connectors/memory/index.ts";
import * as sqlite from "../../../connectors/sqlite/index.ts";
import {
  type Coverage,
  type FillProgress,
  fillMissing,
  type HistoryStore,
  Interval,
  intersectRanges,
  type KlinePage,
  type Series,
  subtractRanges,
  type TimeRange,
} from "../../../runtime/index.ts";
import { failureOf } from "../../contract/failure-of.ts";
import { ArrayExchange, barsAt, type KilledFill, klineSeries } from "./array-exchange.ts";

const minute = 60_000;
const t0 = Date.UTC(2024, 0, 1);
const write = { mode: "write", isSimulated: false } as const;
const signal = AbortSignal.timeout(120_000);
const series = klineSeries("BTCUSDT");
const directory = mkdtempSync(join(tmpdir(), "qmtl-backfill-"));
let files = 0;

afterAll(() => rmSync(directory, { recursive: true }));

const at = (bar: number): number => t0 + bar * minute;
const bars = (from: number, to: number): TimeRange => ({ start: at(from), end: at(to) });
const times = (from: number, to: number): number[] =>
  Array.from({ length: to - from }, (_, i) => at(from + i));
const freshFile = (): string => join(directory, `${(files += 1)}.db`);
const freshStore = async (): Promise<HistoryStore> =>
  await sqlite.openHistory(`sqlite:${freshFile()}`, write, signal);

/** An exchange whose clock stands where `bar` opens. */
function exchangeAt(bar: number, opens: readonly number[], pageRows = 5): ArrayExchange {
  return new ArrayExchange(opens, { pageRows, serverTimeMs: at(bar) });
}

async function storedTimes(store: HistoryStore, of: Series = series): Promise<number[]> {
  const found: number[] = [];
  const range = { start: 0, end: Number.MAX_SAFE_INTEGER };
  for await (const batch of store.fetch(of, range, signal)) {
    for (let i = 0; i < batch.count; i += 1) {
      const ts = batch.ts[i]!;
      found.push(ts);
      for (const [c, column] of batch.columns.entries()) expect(column[i]!).toBe(ts / 1_000 + c);
    }
  }
  return found;
}

for (const pageRows of [1, 7, 500, 1_000]) {
  test(`fillMissing() stores every bar once with pages of ${pageRows}, and asks for none again`, async () => {
    const count = pageRows === 1 ? 60 : 2_500;
    for (const store of [await freshStore(), await memory.openHistory("memory:", write, signal)]) {
      const exchange = exchangeAt(count + 1, times(0, count), pageRows);
      const range = bars(0, count);
      const result = await fillMissing({ store, exchange, series, range }, signal);
      expect(result).toMatchObject({ rowsFetched: count, holes: [], missing: [] });
      expect(result.requests).toBe(exchange.asked.length);
      expect(await storedTimes(store)).toEqual(times(0, count));
      expect(await store.coverage(series, signal)).toEqual({ have: [range], empty: [] });
      const again = await fillMissing({ store, exchange, series, range }, signal);
      expect(again).toEqual({ rowsFetched: 0, requests: 0, holes: [], missing: [] });
      await store.close();
    }
  });
}

test("a hole inside a page, between two pages and inside a full page is confirmed empty (B1)", async () => {
  const store = await freshStore();
  // Pages of 4: [0 1 3 4] has bar 2 missing inside; 5 to 9 lie between pages; [10 .. 13] is full.
  const exchange = exchangeAt(99, [at(0), at(1), at(3), at(4), ...times(10, 14)], 4);
  const range = bars(0, 14);
  const result = await fillMissing({ store, exchange, series, range }, signal);
  const holes = [bars(2, 3), bars(5, 10)];
  expect(result.holes).toEqual(holes);
  const have = [bars(0, 2), bars(3, 5), bars(10, 14)];
  expect(await store.coverage(series, signal)).toEqual({ have, empty: holes });
  expect((await fillMissing({ store, exchange, series, range }, signal)).requests).toBe(0);
});

test("a page that starts late leaves everything before it confirmed empty: the listing", async () => {
  const store = await freshStore();
  const exchange = exchangeAt(2_000, times(1_500, 1_510));
  const result = await fillMissing({ store, exchange, series, range: bars(0, 1_510) }, signal);
  expect(result).toMatchObject({ rowsFetched: 10, holes: [bars(0, 1_500)], missing: [] });
});

test("an empty page is confirmed empty, and not asked for again", async () => {
  const store = await freshStore();
  const exchange = exchangeAt(100, []);
  const range = bars(0, 50);
  const result = await fillMissing({ store, exchange, series, range }, signal);
  expect(result).toEqual({ rowsFetched: 0, requests: 1, holes: [range], missing: [] });
  expect((await fillMissing({ store, exchange, series, range }, signal)).requests).toBe(0);
});

test("what is not closed yet is missing, and the first thing asked for next time", async () => {
  const store = await freshStore();
  const range = bars(0, 20);
  const early = new ArrayExchange(times(0, 20), { pageRows: 50, serverTimeMs: at(12) + 30_000 });
  const first = await fillMissing({ store, exchange: early, series, range }, signal);
  // Bar 11 closed when bar 12 opened; bar 12 is still open half a minute later.
  expect(first).toEqual({ rowsFetched: 12, requests: 1, holes: [], missing: [bars(12, 20)] });
  const late = exchangeAt(20, times(0, 20), 50);
  const second = await fillMissing({ store, exchange: late, series, range }, signal);
  expect(second).toEqual({ rowsFetched: 8, requests: 1, holes: [], missing: [] });
  expect(late.asked).toEqual([bars(12, 20)]);
});

test("a range wholly ahead of the exchange's clock is missing, with nothing stored", async () => {
  const store = await freshStore();
  const exchange = exchangeAt(3, times(0, 3));
  const result = await fillMissing({ store, exchange, series, range: bars(5, 9) }, signal);
  expect(result).toEqual({ rowsFetched: 0, requests: 1, holes: [], missing: [bars(5, 9)] });
  expect(await store.list(signal)).toEqual([]);
});

test("bars off the grid fill the slot they open in and make no holes (B3)", async () => {
  const hourly = klineSeries("BTCUSDT", "1h");
  const hour = 3_600_000;
  const day = Date.UTC(2018, 1, 9);
  const offset = 28 * minute + 14_789;
  // On the grid at 8:00, at HH:28:14.789 from 9 to 11, two bars in hour 12, none in hour 13.
  const opens = [8 * hour, 9 * hour + offset, 10 * hour + offset, 11 * hour + offset];
  const all = [...opens, 12 * hour, 12 * hour + offset, 14 * hour].map((ms) => day + ms);
  for (const pageRows of [1, 2, 3, 100]) {
    const store = await freshStore();
    const exchange = new ArrayExchange(all, { pageRows, serverTimeMs: day + 20 * hour });
    const range = { start: day + 8 * hour, end: day + 15 * hour };
    const result = await fillMissing({ store, exchange, series: hourly, range }, signal);
    expect(result.holes).toEqual([{ start: day + 13 * hour, end: day + 14 * hour }]);
    expect(await storedTimes(store, hourly)).toEqual(all);
  }
});

test("only missing ranges are asked for; a gap that is filled later joins its neighbours", async () => {
  const store = await freshStore();
  const exchange = exchangeAt(200, times(0, 100), 50);
  for (const range of [bars(10, 20), bars(60, 70)]) {
    await fillMissing({ store, exchange, series, range }, signal);
  }
  exchange.asked.length = 0;
  const result = await fillMissing({ store, exchange, series, range: bars(0, 100) }, signal);
  expect(result.rowsFetched).toBe(80);
  expect(exchange.asked).toEqual([bars(0, 10), bars(20, 60), bars(70, 100)]);
  expect(await storedTimes(store)).toEqual(times(0, 100));
  expect(await store.coverage(series, signal)).toEqual({ have: [bars(0, 100)], empty: [] });
});

test("a range with edges inside of bars asks for the bars that open in it", async () => {
  const store = await freshStore();
  const exchange = exchangeAt(99, times(0, 50), 4);
  const range = { start: at(3) + 1, end: at(9) + 1 };
  const result = await fillMissing({ store, exchange, series, range }, signal);
  expect(result).toMatchObject({ rowsFetched: 6, holes: [], missing: [] });
  expect(await storedTimes(store)).toEqual(times(4, 10));
});

test("onProgress names each page that is stored, when it is stored", async () => {
  const store = await freshStore();
  const exchange = exchangeAt(99, times(0, 10), 4);
  const pages: FillProgress[] = [];
  const onProgress = (progress: FillProgress): void => void pages.push(progress);
  await fillMissing({ store, exchange, series, range: bars(0, 10), onProgress }, signal);
  expect(pages.map(({ rowsFetched }) => rowsFetched)).toEqual([4, 8, 10]);
  expect(pages.map(({ from }) => from)).toEqual([at(0), at(3) + 1, at(7) + 1]);
  expect(pages.at(-1)?.to).toBe(at(10));
});

test("a revised bar that is fetched again replaces the one that is stored", async () => {
  const store = await freshStore();
  const exchange = exchangeAt(99, times(0, 10));
  await store.persist(
    series,
    { rows: { ...barsAt([at(4)]), columns: barsAt([at(5)]).columns }, have: [], empty: [] },
    signal,
  );
  await fillMissing({ store, exchange, series, range: bars(0, 10) }, signal);
  expect(await storedTimes(store)).toEqual(times(0, 10));
});

/** An exchange that answers each request as `answer` says. */
class Answering extends ArrayExchange {
  readonly #answer: (page: KlinePage) => KlinePage;

  constructor(answer: (page: KlinePage) => KlinePage) {
    super(times(0, 100), { pageRows: 10, serverTimeMs: at(200) });
    this.#answer = answer;
  }

  override async klines(...question: Parameters<ArrayExchange["klines"]>): Promise<KlinePage> {
    return this.#answer(await super.klines(...question));
  }
}

test("a page that settles nothing of what is closed is a named error, not a loop (B2)", async () => {
  const store = await freshStore();
  for (const end of [0, at(0), Number.NaN]) {
    const exchange = new Answering((page) => ({ ...page, settled: { ...page.settled, end } }));
    const failure = await failureOf(
      fillMissing({ store, exchange, series, range: bars(0, 100) }, signal),
    );
    expect(failure).toMatchObject({ code: "EXCHANGE_RESPONSE_INVALID" });
    expect(exchange.asked.length).toBe(1);
  }
  expect(await store.list(signal)).toEqual([]);
});

test("a page that claims bars which are not closed yet settles only the closed ones (B1)", async () => {
  const store = await freshStore();
  const exchange = new Answering((page) => ({
    rows: barsAt([at(0), at(1)]),
    settled: { ...page.settled, end: at(100) },
    serverTimeMs: at(2) + 1,
  }));
  const result = await fillMissing({ store, exchange, series, range: bars(0, 100) }, signal);
  expect(result).toMatchObject({ rowsFetched: 2, holes: [], missing: [bars(2, 100)] });
});

test("a store that fails ends the fill with its error, and the page asked ahead is stopped (B4)", async () => {
  const store = await memory.openHistory("memory:?bytesMax=1024", write, signal);
  const exchange = exchangeAt(200, times(0, 100), 8);
  const failure = await failureOf(
    fillMissing({ store, exchange, series, range: bars(0, 100) }, signal),
  );
  // A row takes 96 bytes: one page of 8 fits into 1,024, two do not.
  expect(failure).toMatchObject({ code: "STORE_FULL" });
  expect(await storedTimes(store)).toEqual(times(0, 8));
  expect(exchange.asked.length).toBe(3);
});

test("an exchange that fails while a page is stored keeps that page and ends with its error", async () => {
  const store = await freshStore();
  let pages = 0;
  const exchange = new Answering((page) => {
    pages += 1;
    if (pages === 3) throw new Error("cut");
    return page;
  });
  const failure = await failureOf(
    fillMissing({ store, exchange, series, range: bars(0, 100) }, signal),
  );
  expect(failure).toEqual(new Error("cut"));
  expect(await storedTimes(store)).toEqual(times(0, 20));
});

test("an abort ends the fill with the signal's reason and keeps what was stored", async () => {
  const store = await freshStore();
  const stop = new AbortController();
  const exchange = exchangeAt(200, times(0, 100), 10);
  const onProgress = ({ rowsFetched }: FillProgress): void => {
    if (rowsFetched === 30) stop.abort(new Error("enough"));
  };
  const failure = await failureOf(
    fillMissing({ store, exchange, series, range: bars(0, 100), onProgress }, stop.signal),
  );
  expect(failure).toBe(stop.signal.reason);
  expect(await storedTimes(store)).toEqual(times(0, 30));
});

// Goal: B1 for every exchange. Method: random bars, ranges and page sizes against the list of bars.
test("any bars, ranges and page sizes end with exactly the exchange's bars and holes", async () => {
  const store = await memory.openHistory("memory:", write, signal);
  const interval = Interval.of("1m");
  const bar = fc.integer({ min: 0, max: 60 });
  const opens = fc
    .uniqueArray(bar, { maxLength: 60 })
    .map((list) => list.toSorted((a, b) => a - b));
  const ranges = fc.array(fc.tuple(bar, bar), { minLength: 1, maxLength: 4 });
  let symbols = 0;
  const property = fc.asyncProperty(
    opens,
    ranges,
    fc.integer({ min: 1, max: 9 }),
    async (list, asks, pageRows) => {
      symbols += 1;
      const one = klineSeries(`S${symbols}`);
      const clock = 40;
      const exchange = exchangeAt(clock, list.map(at), pageRows);
      const wanted = asks.map(([a, b]) => bars(Math.min(a, b), Math.max(a, b)));
      for (const range of wanted) {
        const { missing } = await fillMissing({ store, exchange, series: one, range }, signal);
        expect(missing).toEqual(intersectRanges([range], [bars(clock, 61)]));
      }
      const settled = intersectRanges(wanted, [bars(0, clock)]);
      const isSettled = (ts: number): boolean =>
        settled.some(({ start, end }) => start <= ts && ts < end);
      const there = list.map(at).filter(isSettled);
      const have = intersectRanges(
        settled,
        there.map((ts) => ({ start: ts, end: interval.closeOf(ts) })),
      );
      expect(await storedTimes(store, one)).toEqual(there);
      const empty = subtractRanges(settled, have);
      expect(await store.coverage(one, signal)).toEqual({ have, empty });
    },
  );
  await fc.assert(property, { numRuns: 60 });
});

async function waitFor(condition: () => boolean): Promise<void> {
  while (!condition()) await Bun.sleep(1);
}

// Goal: `kill -9` at any point loses nothing that was stored and doubles nothing. Method: a child
// process fills a store and is killed after a random number of pages and a random pause; then this
// process reads what is there, goes on, and compares the bars and the questions with the whole.
test("kill -9 in mid-backfill, then again: same bars, none twice, nothing stored is asked again", async () => {
  const seed = Number(process.env["QMTL_TEST_SEED"] ?? Date.now() % 1_000_000);
  console.log(`kill -9 seed ${seed} (QMTL_TEST_SEED)`);
  let state = seed;
  const random = (): number => {
    state = (state * 48_271 + 11) % 2_147_483_647;
    return state / 2_147_483_647;
  };
  const opens = [...times(0, 900), ...times(1_000, 3_000)];
  const range = bars(0, 3_000);
  let killed = 0;
  for (let round = 0; round < 5; round += 1) {
    const path = freshFile();
    const progressFile = `${path}.progress`;
    writeFileSync(progressFile, "");
    const fill: KilledFill = {
      url: `sqlite:${path}`,
      symbol: series.key,
      times: opens,
      pageRows: 7,
      range,
      progressFile,
    };
    const child = Bun.spawn([process.execPath, join(import.meta.dir, "array-exchange.ts")], {
      stdin: new Blob([JSON.stringify(fill)]),
      stdout: "ignore",
      stderr: "inherit",
    });
    const stored = (): number => readFileSync(progressFile, "utf8").length / "stored\n".length;
    const pages = 1 + Math.floor(random() * 150);
    await waitFor(() => stored() >= pages || child.exitCode !== null);
    await Bun.sleep(random() * 3);
    child.kill("SIGKILL");
    await child.exited;
    if (child.signalCode === "SIGKILL") killed += 1;

    const store = await sqlite.openHistory(`sqlite:${path}`, write, signal);
    const before: Coverage = await store.coverage(series, signal);
    const known = [...before.have, ...before.empty];
    expect((await storedTimes(store)).length).toBeGreaterThanOrEqual(7 * pages);
    const exchange = exchangeAt(3_001, opens, 7);
    const result = await fillMissing({ store, exchange, series, range }, signal);
    expect(intersectRanges(exchange.asked, known)).toEqual([]);
    expect(result.missing).toEqual([]);
    expect(await storedTimes(store)).toEqual(opens);
    const have = [bars(0, 900), bars(1_000, 3_000)];
    expect(await store.coverage(series, signal)).toEqual({ have, empty: [bars(900, 1_000)] });
    await store.close();
  }
  // A round in which the child was quicker than the kill shows nothing.
  expect(killed).toBeGreaterThanOrEqual(3);
}, 60_000);
