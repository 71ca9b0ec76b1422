/**
 * Goal: what is stored is what the exchange has, value for value, and is asked for once. Method:
 * the main job against a simulator that logs requests; its CSV export against the file it served.
 */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { type ExchangeSimulator } from "qmtl/connectors/simulated";
import { BinanceHistory } from "../../strategies/binance_history.ts";
import { runBacktest } from "../harness/backtest-run.ts";
import { qmtl, runBun } from "../harness/child-run.ts";
import { type CsvRow, numbersOf, recordedRows } from "../harness/recorded-csv.ts";
import { recordedPath, recordedTest } from "../harness/recorded-data.ts";
import { scratchDirectory } from "../harness/scratch.ts";
import { exchangeAt, servedExchange } from "../harness/served-exchange.ts";
import { bitsOf } from "../harness/stored-rows.ts";

const minute = 60_000;
const hour = 60 * minute;
const directory = scratchDirectory();
const header =
  "openTime,open,high,low,close,volume,closeTime,quoteVolume,trades,takerBuyBase,takerBuyQuote";

/** Rows that `qmtl history export` prints of a stream. */
async function exported(path: string, interval: string, range: readonly string[] = []) {
  const store = ["--history", `sqlite:${path}`];
  const series = ["--symbol", "BTCUSDT", "--interval", interval];
  const command = [qmtl, "history", "export", ...store, ...series, ...range];
  const { exitCode, stdout, stderr } = await runBun(command, { cwd: directory });
  expect([exitCode, stderr]).toEqual([0, ""]);
  const [first, ...lines] = stdout.trimEnd().split("\n");
  expect(first).toBe(header);
  return lines.map((line) => line.split(","));
}

function expectSame(own: readonly CsvRow[], served: readonly CsvRow[]) {
  expect(own.length).toBe(served.length);
  expect(bitsOf(own.map(numbersOf))).toBe(bitsOf(served.map(numbersOf)));
  // An empty cell stays empty.
  expect(own.map((row) => row.map((cell) => cell === ""))).toEqual(
    served.map((row) => row.map((cell) => cell === "")),
  );
}

function klinesOf({ requests }: ExchangeSimulator) {
  return requests.filter(({ path }) => path.endsWith("/klines"));
}

describe("export after backfill equals the recorded CSV, value for value", () => {
  for (const [pageRowsMax, bars] of [
    [1, 90],
    [7, 1_300],
    [500, 4_320],
    [1_000, 4_320],
  ] as const) {
    recordedTest(
      `with pages of ${pageRowsMax}, which take as many requests as they must`,
      async () => {
        const name = "BTCUSDT-1m-20200101-20200103.csv";
        await using simulator = await serve([name]);
        const path = join(directory, `pages-${pageRowsMax}.db`);
        const start = Date.UTC(2020, 0, 1);
        const { report } = await runBacktest({
          strategy: BinanceHistory,
          symbols: ["BTCUSDT"],
          settings: { start, end: start + bars * minute, history: `sqlite:${path}` },
          connectors: exchangeAt(simulator.url, { pageRowsMax }),
        });
        expectSame(await exported(path, "1m"), recordedRows(name).slice(0, bars));
        expect(klinesOf(simulator)).toHaveLength(Math.ceil(bars / pageRowsMax));
        expect(report.requests).toBe(Math.ceil(bars / pageRowsMax));
      },
    );
  }

  recordedTest("with empty cells and holes in it, which stay as they are", async () => {
    const name = "BTCUSDT-1m-20250920-20250923.paging-bug.csv";
    await using simulator = await serve([name]);
    const path = join(directory, "empty-cells.db");
    const rows = recordedRows(name);
    await runBacktest({
      strategy: BinanceHistory,
      symbols: ["BTCUSDT"],
      settings: {
        start: Number(rows[0]![0]),
        end: Number(rows.at(-1)![0]) + minute,
        history: `sqlite:${path}`,
      },
      connectors: exchangeAt(simulator.url),
    });
    expectSame(await exported(path, "1m"), rows);
  });

  recordedTest("by the day, and for a part of the range", async () => {
    const name = "BTCUSDT-1d-20181229-20200104.csv";
    await using simulator = await serve([name]);
    const path = join(directory, "days.db");
    await runBacktest({
      strategy: BinanceHistory,
      symbols: ["BTCUSDT"],
      interval: "1d",
      settings: { start: "2018-12-29", end: "2020-01-03", history: `sqlite:${path}` },
      connectors: exchangeAt(simulator.url),
    });
    const rows = recordedRows(name).slice(0, 370);
    expectSame(await exported(path, "1d"), rows);
    const part = await exported(path, "1d", ["--start", "2019-02-01", "--end", "2019-03-01"]);
    const from = rows.findIndex(([open]) => Number(open) === Date.UTC(2019, 1, 1));
    expectSame(part, rows.slice(from, from + 28));
  });
});

recordedTest(
  "the exchange's outage is logged once, listed always and not asked for again",
  async () => {
    const name = "BTCUSDT-1h-20200430-20200701.csv";
    await using simulator = await serve([name]);
    const settings = {
      start: "2020-05-01",
      end: "2020-06-29",
      history: `sqlite:${join(directory, "outage.db")}`,
    };
    const run = { strategy: BinanceHistory, symbols: ["BTCUSDT"], interval: "1h" };
    const connectors = exchangeAt(simulator.url);
    const outage = { start: Date.UTC(2020, 5, 28, 2), end: Date.UTC(2020, 5, 28, 5) };
    const first = await runBacktest({ ...run, settings, connectors });
    const told = (notes: readonly string[]) =>
      notes.filter((text) => text.includes("no bars from"));
    expect(told(first.notes)).toEqual([
      "BTCUSDT 1h: the exchange has no bars from 2020-06-28T02:00:00.000Z to 2020-06-28T05:00:00.000Z",
    ]);
    expect(first.report.streams[0]).toMatchObject({ gaps: [outage], missing: [] });
    expect(first.report.streams[0]?.rows).toBe(
      (Date.UTC(2020, 5, 29) - Date.UTC(2020, 4, 1)) / hour - 3,
    );

    const asked = simulator.requests.length;
    const second = await runBacktest({ ...run, settings, connectors });
    expect(simulator.requests.length).toBe(asked);
    expect(told(second.notes)).toEqual([]);
    expect(second.report.streams[0]).toMatchObject({ gaps: [outage], missing: [], fetched: 0 });

    const longer = await runBacktest({
      ...run,
      settings: { ...settings, end: "2020-06-30" },
      connectors,
    });
    expect(told(longer.notes)).toEqual([]);
    expect(longer.report.streams[0]).toMatchObject({ gaps: [outage], fetched: 24 });
    const later = klinesOf(simulator).slice(-1);
    expect(later.map(({ query }) => Number(query["startTime"]))).toEqual([Date.UTC(2020, 5, 29)]);
  },
);

test("a later run asks for new bars only, and --refetch for all of them", async () => {
  const noon = Date.UTC(2025, 5, 1, 12);
  await using simulator = await servedExchange({
    source: { kind: "generated", seed: 11 },
    serverTimeMs: noon,
  });
  const history = `sqlite:${join(directory, "later.db")}`;
  const run = async (more: object = {}) =>
    await runBacktest({
      strategy: BinanceHistory,
      symbols: ["BTCUSDT", "ETHUSDT"],
      settings: { start: noon - 24 * hour, history, ...more },
      connectors: exchangeAt(simulator.url),
    });
  const first = await run();
  expect(first.report.streams.map(({ fetched }) => fetched)).toEqual([1_440, 1_440]);
  simulator.setServerTime(noon + 30 * minute + 5_000);
  const before = klinesOf(simulator).length;
  const second = await run();
  expect(second.report.streams.map(({ rows, fetched }) => [rows, fetched])).toEqual([
    [1_470, 30],
    [1_470, 30],
  ]);
  const asked = klinesOf(simulator).slice(before);
  expect(asked.map(({ query }) => Number(query["startTime"]))).toEqual([noon, noon]);
  const third = await run({ refetch: true });
  expect(third.report.streams.map(({ fetched }) => fetched)).toEqual([1_470, 1_470]);
  expect(third.report.nodes).toEqual(second.report.nodes);
});

test("an end beyond the exchange's clock is cut to the last closed bar, with a note", async () => {
  const noon = Date.UTC(2025, 5, 1, 12);
  await using simulator = await servedExchange({
    source: { kind: "generated", seed: 11 },
    serverTimeMs: noon + 30_000,
  });
  const { report } = await runBacktest({
    strategy: BinanceHistory,
    symbols: ["BTCUSDT"],
    settings: {
      start: noon - 2 * hour,
      end: noon + hour,
      history: `sqlite:${join(directory, "cut.db")}`,
    },
    connectors: exchangeAt(simulator.url),
  });
  expect([report.end, report.streams[0]?.rows]).toEqual([noon, 120]);
  expect(report.notes).toEqual([
    "The end 2025-06-01T13:00:00.000Z is beyond the last closed bar: cut to 2025-06-01T12:00:00.000Z",
  ]);
});

/** A simulator that serves the named files, and closes at the end of its block. */
async function serve(files: readonly string[]) {
  return await servedExchange({
    source: { kind: "recorded", directory: recordedPath("klines"), files: [...files] },
  });
}
