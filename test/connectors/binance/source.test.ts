import { afterEach, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { openExchange } from "../../../connectors/binance/index.ts";
import { Interval } from "../../../runtime/index.ts";
import { recordedPath, recordedTest } from "../../harness/recorded-data.ts";
import {
  at,
  closeOpened,
  countOf,
  failureOf,
  fetchAll,
  minute,
  minuteMs,
  opened,
  signal,
  startMs,
  startPair,
} from "./pair.ts";

afterEach(closeOpened);

test("a minute's bars come once each, in order, over as many pages as the limit needs", async () => {
  for (const [pageRowsMax, pages] of [
    [7, 15],
    [100, 1],
    [1_000, 1],
  ] as const) {
    const { exchange } = await startPair({}, { pageRowsMax });
    const fetched = await fetchAll(exchange, { start: at(0), end: at(100) });
    expect(fetched.rows.map(([ts]) => ts)).toEqual(Array.from({ length: 100 }, (_, i) => at(i)));
    expect([fetched.pages, fetched.end]).toEqual([pages, at(100)]);
  }
});

/** A CSV file as rows of numbers; an empty cell is NaN. */
function csvRows(name: string): number[][] {
  const lines = readFileSync(recordedPath("klines", name), "utf8").trim().split("\n").slice(1);
  const numberOf = (cell: string): number => (cell === "" ? Number.NaN : Number(cell));
  return lines.map((line) => line.split(",").map(numberOf));
}

for (const pageRowsMax of [1, 7, 500, 1_000]) {
  recordedTest(
    `pages of ${pageRowsMax} give each recorded hour once, equal to the CSV`,
    async () => {
      const name = "BTCUSDT-1h-20200430-20200701.csv";
      const source = { kind: "recorded" as const, directory: recordedPath("klines") };
      const { exchange, simulator } = await startPair(
        { source, serverTimeMs: Date.UTC(2020, 7, 1) },
        { pageRowsMax },
      );
      const csv = csvRows(name);
      const end = csv.at(-1)![0]! + 3_600_000;
      const range = { start: csv[0]![0]!, end };
      const fetched = await fetchAll(exchange, range, "BTCUSDT", Interval.of("1h"));
      expect(fetched.rows).toEqual(csv);
      expect(fetched.end).toBe(end);
      // The outage of three hours costs no request of its own: pages begin after a row or at it.
      expect(countOf(simulator, "klines")).toBeLessThanOrEqual(
        Math.ceil(csv.length / pageRowsMax) + 1,
      );
      expect(countOf(simulator, "time")).toBe(1);
    },
  );
}

recordedTest(
  "an empty recorded cell is NaN, and a day that lacks hours is settled all the same",
  async () => {
    const name = "BTCUSDT-1m-20250920-20250923.paging-bug.csv";
    const source = { kind: "recorded" as const, directory: recordedPath("klines"), files: [name] };
    const { exchange } = await startPair({ source, serverTimeMs: Date.UTC(2025, 8, 24) + 2_000 });
    const csv = csvRows(name);
    const fetched = await fetchAll(exchange, { start: csv[0]![0]!, end: Date.UTC(2025, 8, 24) });
    expect(fetched.rows).toEqual(csv);
    expect(fetched.end).toBe(Date.UTC(2025, 8, 24));
  },
);

// Goal: all faults survived. Method: each fault on its own period of requests, so that they fall
// on pages, times and each other; the rows are those of a simulator without faults.
test("rows and coverage are the same under all faults", async () => {
  const faults = [
    "429:every=13,retryAfter=20",
    "418:every=31,retryAfter=300",
    "500:every=17",
    "502:every=19",
    "403:every=37",
    "stall:every=41",
    "stall-body:every=43",
    "cut:every=11",
    "html:every=23",
    "malformed:every=29,path=klines",
    "us:every=3",
    "open",
  ];
  const range = { start: at(0), end: at(1_500) };
  const quiet = await startPair({}, { pageRowsMax: 20 });
  const expected = await fetchAll(quiet.exchange, range);
  const noisy = await startPair(
    { faults },
    { pageRowsMax: 20, silenceMsMax: 250, tryCountMax: 10 },
  );
  await noisy.exchange.serverTime(signal);
  const fetched = await fetchAll(noisy.exchange, range);
  expect(fetched).toEqual(expected);
  expect(fetched.rows).toHaveLength(1_500);
  for (const fault of faults) {
    const kind = fault.split(":")[0] as "429";
    if (fault !== "open")
      expect([kind, noisy.simulator.faults.countOf(kind) > 0]).toEqual([kind, true]);
  }
  expect(noisy.simulator.weight.earlyCount).toBe(0);
});

test("bars that the exchange does not have are settled without a row, and a gap ends no page early", async () => {
  const { exchange } = await startPair({ faults: ["gaps:every=4"] }, { pageRowsMax: 10 });
  const fetched = await fetchAll(exchange, { start: at(0), end: at(100) });
  const there = Array.from({ length: 100 }, (_, i) => at(i)).filter(
    (ts) => minute.indexOf(ts) % 4 !== 0,
  );
  expect(fetched.rows.map(([ts]) => ts)).toEqual(there);
  expect(fetched.end).toBe(at(100));
});

test("the open bar is left out, and what is settled ends at its opening", async () => {
  const { exchange } = await startPair({ serverTimeMs: at(10) + 30_000 });
  const request = { symbol: "BTCUSDT", interval: minute, range: { start: at(5), end: at(20) } };
  const page = await exchange.klines(request, signal);
  expect(page.rows.count).toBe(5);
  expect(page.settled).toEqual({ start: at(5), end: at(10) });
  expect(page.serverTimeMs).toBe(at(10) + 30_000);
});

test("a bar closes at closeTime < server time: not at its last ms, but at the next", async () => {
  const { exchange, simulator } = await startPair({ serverTimeMs: at(10) - 1 });
  const request = { symbol: "BTCUSDT", interval: minute, range: { start: at(8), end: at(20) } };
  expect((await exchange.klines(request, signal)).rows.count).toBe(1);
  simulator.setServerTime(at(10));
  expect((await exchange.klines(request, signal)).rows.count).toBe(2);
});

test("a range whose first bar is still open costs no klines request and settles nothing", async () => {
  const { exchange, simulator } = await startPair({ serverTimeMs: at(10) + 30_000 });
  const request = { symbol: "BTCUSDT", interval: minute, range: { start: at(10), end: at(20) } };
  const page = await exchange.klines(request, signal);
  expect([page.rows.count, page.settled.end]).toEqual([0, at(10)]);
  expect(countOf(simulator, "klines")).toBe(0);
});

test("the server's time is asked for once for history, and again when a page reaches beyond it", async () => {
  const { exchange, simulator } = await startPair({ serverTimeMs: at(100) }, { pageRowsMax: 10 });
  await fetchAll(exchange, { start: at(0), end: at(50) });
  expect(countOf(simulator, "time")).toBe(1);
  simulator.setServerTime(at(200));
  const fetched = await fetchAll(exchange, { start: at(50), end: at(150) });
  expect(fetched.rows).toHaveLength(100);
  expect(countOf(simulator, "time")).toBe(2);
});

test("a request asks from range.start to the last ms of the range, with the page limit", async () => {
  const { exchange, simulator } = await startPair({}, { pageRowsMax: 500 });
  const range = { start: at(3), end: at(9) };
  await exchange.klines({ symbol: "BTCUSDT", interval: minute, range }, signal);
  expect(simulator.requests.at(-1)?.query).toEqual({
    symbol: "BTCUSDT",
    interval: "1m",
    startTime: String(at(3)),
    endTime: String(at(9) - 1),
    limit: "500",
  });
});

test("weeks and months are paged on their own grid", async () => {
  const { exchange } = await startPair(
    { serverTimeMs: Date.UTC(2024, 0, 1) + 5_000 },
    { pageRowsMax: 2 },
  );
  for (const [name, count] of [
    ["1w", 5],
    ["1M", 12],
    ["3d", 12],
  ] as const) {
    const interval = Interval.of(name);
    const end = interval.floor(Date.UTC(2024, 0, 1));
    const from = interval.openOf(interval.indexOf(end) - count);
    const fetched = await fetchAll(exchange, { start: from, end }, "ETHUSDT", interval);
    expect([name, fetched.rows.length, fetched.end]).toEqual([name, count, end]);
  }
});

test("weight stays within the budget of each minute while many streams fetch at once", async () => {
  const { exchange, simulator, clock } = await startPair(
    { weightPerMinute: 100 },
    { weightPerMinute: 100, weightShareMax: 0.8, pageRowsMax: 10 },
  );
  const symbols = ["BTCUSDT", "ETHUSDT", "BNBUSDT", "SOLUSDT", "XRPUSDT"];
  const range = { start: at(0), end: at(500) };
  const all = await Promise.all(symbols.map(async (name) => await fetchAll(exchange, range, name)));
  for (const fetched of all) expect(fetched.rows).toHaveLength(500);
  expect(simulator.weight.peak).toBeLessThanOrEqual(80);
  expect(simulator.requests.every(({ status }) => status === 200)).toBe(true);
  // 250 pages of weight 2 are 500, and 80 fit into a minute.
  expect(clock.now() - startMs).toBeGreaterThanOrEqual(6 * minuteMs);
});

test("the limit is read from exchangeInfo, and other programs' use from the header", async () => {
  const { exchange, simulator, clock } = await startPair(
    { weightPerMinute: 60 },
    { pageRowsMax: 10 },
  );
  await exchange.checkSymbols(["BTCUSDT"], signal);
  for (let i = 0; i < 30; i += 1) await (await fetch(`${simulator.url}/api/v3/ping`)).text();
  await fetchAll(exchange, { start: at(0), end: at(100) });
  expect(simulator.weight.peak).toBeLessThanOrEqual(54);
  expect(clock.now() - startMs).toBeGreaterThanOrEqual(minuteMs);
});

test("checkSymbols() names each unknown symbol, and asks nothing about what cannot be one", async () => {
  const { exchange, simulator } = await startPair();
  await exchange.checkSymbols(["BTCUSDT", "ETHUSDT"], signal);
  const unknown = await failureOf(
    exchange.checkSymbols(["BTCUSDT", "A.B", "ETHUSDT", "SOLUSDT", "C-D", "BTCUSDT"], signal),
  );
  expect([unknown.code, unknown.details["symbols"]]).toEqual(["SYMBOL_UNKNOWN", "A.B,C-D"]);
  expect(unknown.message).toContain('"A.B", "C-D"');
  const count = simulator.requests.length;
  const lower = await failureOf(exchange.checkSymbols(["BTCUSDT", "ethusdt"], signal));
  expect([lower.code, lower.message]).toEqual([
    "SYMBOL_INVALID",
    'Cannot use the symbol: found "ethusdt", wanted "ETHUSDT"',
  ]);
  expect((await failureOf(exchange.checkSymbols(["BTC/USDT"], signal))).code).toBe(
    "SYMBOL_INVALID",
  );
  expect(simulator.requests).toHaveLength(count);
});

test("other refusals are EXCHANGE_REJECTED with the exchange's code and words, without a retry", async () => {
  const { exchange, simulator } = await startPair({ serverTimeMs: at(5) });
  const range = { start: at(0), end: at(2) };
  const error = await failureOf(
    exchange.klines({ symbol: "ÅÄÖ", interval: minute, range }, signal),
  );
  expect(error.code).toBe("SYMBOL_UNKNOWN");
  expect(countOf(simulator, "klines")).toBe(1);
  const other = openExchange({ baseUrl: `${simulator.url}/nowhere` });
  opened.push(other);
  const rejected = await failureOf(other.serverTime(signal));
  expect([rejected.code, rejected.details["status"]]).toEqual(["EXCHANGE_REJECTED", 404]);
});

test("estimate() counts pages, and minutes where the weight does not fit into this one", async () => {
  const { exchange } = await startPair();
  expect(exchange.estimate(0)).toMatchObject({ requests: 0, weight: 0, seconds: 0 });
  expect(exchange.estimate(1_001)).toMatchObject({ requests: 2, weight: 5 });
  // 10,000 pages are 20,001 weight: 5,400 now and in each of the next minutes, the last in 3 min.
  const long = exchange.estimate(10_000_000);
  expect(long).toMatchObject({ requests: 10_000, weight: 20_001, seconds: 180 });
});
