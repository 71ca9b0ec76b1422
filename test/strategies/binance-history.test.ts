/**
 * Goal: the main job's numbers. Method: exact arithmetic (BigInt on the exchange's own decimals)
 * is the oracle; the same run over generated bars, so that a machine without recordings tests too.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { type ExchangeSimulator, startExchangeSimulator } from "qmtl/connectors/simulated";
import { type BacktestReport, Interval } from "../../runtime/index.ts";
import { BinanceHistory } from "../../strategies/binance_history.ts";
import { runBacktest } from "../harness/backtest-run.ts";
import { binanceHistory } from "../harness/child-run.ts";
import { exactMean, exactZscore, numberOf, unitsOf } from "../harness/exact.ts";
import { at, type CsvRow, recordedRows } from "../harness/recorded-csv.ts";
import { recordedData, recordedPath, recordedTest } from "../harness/recorded-data.ts";
import { scratchDirectory } from "../harness/scratch.ts";
import { bitsOf, readStore } from "../harness/stored-rows.ts";

const minute = 60_000;
const directory = scratchDirectory();

/** A market the main job runs over, and its bars as the exchange prints them. */
interface Market {
  readonly name: string;
  readonly start: number;
  readonly end: number;
  readonly simulator: () => Promise<ExchangeSimulator>;
  readonly bars: (symbol: string, url: string) => Promise<readonly CsvRow[]>;
}

const generated: Market = {
  name: "generated bars",
  start: Date.UTC(2025, 2, 1, 0, 2),
  end: Date.UTC(2025, 2, 1, 15),
  simulator: async () =>
    await startExchangeSimulator({
      source: { kind: "generated", seed: 7 },
      serverTimeMs: Date.UTC(2025, 2, 1, 16),
    }),
  async bars(symbol, url) {
    const query = `symbol=${symbol}&interval=1m&limit=1000&startTime=${this.start}&endTime=${this.end - 1}`;
    const answer = await fetch(`${url}/api/v3/klines?${query}`);
    return ((await answer.json()) as unknown[][]).map((row) => row.slice(0, 11).map(String));
  },
};

const recorded: Market = {
  name: "recorded bars",
  start: Date.UTC(2025, 8, 22, 12),
  end: Date.UTC(2025, 8, 25),
  simulator: async () =>
    await startExchangeSimulator({
      source: { kind: "recorded", directory: recordedPath("klines") },
    }),
  // oxlint-disable-next-line eslint/require-await -- the other market asks its server
  async bars(symbol) {
    return recordedRows(`${symbol}-1m-20250922-20250925.csv`).filter((row) => {
      const open = Number(row[at.openTime]);
      return open >= this.start && open < this.end;
    });
  },
};

const symbols = ["BTCUSDT", "ETHUSDT"];
const module = Bun.pathToFileURL(binanceHistory).href;

for (const market of recordedData === undefined ? [generated] : [generated, recorded]) {
  describe(`binance_history over ${market.name}`, () => {
    let simulator: ExchangeSimulator;
    let report: BacktestReport;
    const path = join(directory, `${market.start}.db`);
    const settings = (to: string, start = market.start) => ({
      start,
      end: market.end,
      history: `sqlite:${to}`,
      binanceUrl: simulator.url,
    });

    beforeAll(async () => {
      simulator = await market.simulator();
      const run = { strategy: BinanceHistory, symbols, settings: settings(path) };
      ({ report } = await runBacktest(run));
    });
    afterAll(async () => await simulator.close());

    /** Rows of a node of the first run, by open time. */
    async function outputs(name: string, symbol: string, from = path) {
      const node = report.nodes.find((own) => own.name === name && own.key === symbol);
      return (await readStore(from)).get(node?.nodeId ?? "")?.rows ?? [];
    }

    test("rows, outputs and IDs are what the definition says: rows − 19 and rows − 59", () => {
      const rows = (market.end - market.start) / minute;
      expect(report.streams.map((own) => [own.key, own.rows, own.fetched])).toEqual(
        symbols.map((symbol) => [symbol, rows, rows]),
      );
      const whole = (market.end - Interval.of("5m").ceil(market.start)) / (5 * minute);
      for (const symbol of symbols) {
        const of = (name: string) =>
          report.nodes.find((own) => own.name === name && own.key === symbol)?.outputs;
        expect([of("sma"), of("zscore"), of("bars_5m")]).toEqual([rows - 19, rows - 59, whole]);
      }
      expect(report.records).toBe(2 * rows);
      expect(report.refused + report.late).toBe(0);
    });

    test("sma is within 1e-12 of the exact mean, relative", async () => {
      for (const symbol of symbols) {
        const close = (await market.bars(symbol, simulator.url)).map((r) => unitsOf(r[at.close]!));
        let worst = 0;
        const rows = await outputs("sma", symbol);
        for (const [i, row] of rows.entries()) {
          const exact = exactMean(close.slice(i, i + 20));
          worst = Math.max(worst, Math.abs(row[1]! - exact) / Math.abs(exact));
        }
        expect(worst).toBeLessThan(1e-12);
      }
    });

    test("zscore is within 1e-9 · max(1, |z|) of exact arithmetic", async () => {
      for (const symbol of symbols) {
        const close = (await market.bars(symbol, simulator.url)).map((r) => unitsOf(r[at.close]!));
        let worst = 0;
        const rows = await outputs("zscore", symbol);
        for (const [i, row] of rows.entries()) {
          const exact = exactZscore(close.slice(i, i + 60));
          worst = Math.max(worst, Math.abs(row[1]! - exact) / Math.max(1, Math.abs(exact)));
        }
        expect(worst).toBeLessThan(1e-9);
      }
    });

    test("bars_5m has the exact sums wherever sum · 10⁸ < 2⁵³, and all prices", async () => {
      for (const symbol of symbols) {
        const bars = await market.bars(symbol, simulator.url);
        const groups = Map.groupBy(bars, (r) => Interval.of("5m").floor(Number(r[at.openTime])));
        const whole = [...groups].filter(([, inside]) => inside.length === 5);
        const stored = await outputs("bars_5m", symbol);
        expect(stored.map(([ts]) => ts)).toEqual(whole.map(([open]) => open));
        for (const [i, [open, five]] of whole.entries()) {
          expect(stored[i]).toEqual(exactGroup(open, five, stored[i]!));
        }
      }
    });

    test("a later start gives the same bits after the lookback", async () => {
      const later = join(directory, `later-${market.start}.db`);
      const start = market.start + 137 * minute;
      await runBacktest({ strategy: BinanceHistory, symbols, settings: settings(later, start) });
      for (const symbol of symbols) {
        for (const [name, lookback] of [
          ["sma", 20],
          ["zscore", 60],
          ["bars_5m", 5],
        ] as const) {
          const from = Interval.of("5m").ceil(start + (lookback - 1) * minute);
          const after = (rows: readonly (readonly number[])[]) =>
            bitsOf(rows.filter(([ts]) => ts! >= from));
          const own = await outputs(name, symbol, later);
          expect(own.length).toBeGreaterThan(100);
          expect(after(own)).toBe(after(await outputs(name, symbol)));
        }
      }
    });

    test("two threads give the same rows and outputs, bit for bit, as one", async () => {
      const threaded = join(directory, `threads-${market.start}.db`);
      const two = await runBacktest({
        strategy: BinanceHistory,
        symbols,
        module,
        settings: { ...settings(threaded), threads: 2 },
      });
      expect([report.threads, two.report.threads]).toEqual([1, 2]);
      const [one, other] = [await readStore(path), await readStore(threaded)];
      expect([...other.keys()].toSorted()).toEqual([...one.keys()].toSorted());
      for (const [id, { rows }] of one) expect(bitsOf(other.get(id)!.rows)).toBe(bitsOf(rows));
      expect(two.report.nodes).toEqual(report.nodes);
    });

    test("a second run asks for nothing and gives the same report", async () => {
      const before = simulator.requests.length;
      const again = await runBacktest({
        strategy: BinanceHistory,
        symbols,
        settings: settings(path),
      });
      expect(simulator.requests.length).toBe(before);
      expect(again.report.nodes).toEqual(report.nodes);
      expect(again.report.streams).toEqual(
        report.streams.map((own) => ({ ...own, fetched: 0, requests: 0 })),
      );
    });
  });
}

/** The 5m bar of five 1m bars; a sum of 2⁵³ and more is taken from `found`. */
function exactGroup(open: number, five: readonly CsvRow[], found: readonly number[]) {
  const sum = (field: number): number => {
    const units = five.reduce((total, row) => total + unitsOf(row[field]!), 0n);
    return units < 2n ** 53n ? numberOf(units) : found[field]!;
  };
  const column = (field: number) => five.map((row) => Number(row[field]));
  return [
    open,
    column(at.open)[0]!,
    Math.max(...column(at.high)),
    Math.min(...column(at.low)),
    column(at.close)[4]!,
    sum(at.volume),
    column(at.closeTime)[4]!,
    sum(at.quoteVolume),
    column(at.trades).reduce((total, trades) => total + trades, 0),
    sum(at.takerBuyBase),
    sum(at.takerBuyQuote),
  ];
}

recordedTest("bars_5m equals the exchange's own 5m bars, bit for bit", async () => {
  const path = join(directory, "oracle.db");
  const { report } = await runBacktest({
    strategy: BinanceHistory,
    symbols: ["BTCUSDT"],
    settings: {
      start: "2020-01-01",
      end: "2020-01-01T02:00",
      exchange: `recorded:${recordedPath("klines")}`,
      history: `sqlite:${path}`,
    },
  });
  const node = report.nodes.find(({ name }) => name === "bars_5m");
  const own = (await readStore(path)).get(node?.nodeId ?? "")?.rows ?? [];
  const oracle = recordedRows("BTCUSDT-5m-20200101-2h.oracle.csv");
  const sums = [at.volume, at.quoteVolume, at.takerBuyBase, at.takerBuyQuote];
  expect(oracle.every((row) => sums.every((i) => unitsOf(row[i]!) < 2n ** 53n))).toBe(true);
  expect(own).toHaveLength(24);
  expect(bitsOf(own)).toBe(bitsOf(oracle.map((row) => row.map(Number))));
});

test("another interval leaves bars_5m out and says so", async () => {
  const { report } = await runBacktest({
    strategy: BinanceHistory,
    symbols: ["BTCUSDT"],
    interval: "1h",
    settings: {
      start: "2025-01-01",
      end: "2025-01-08",
      exchange: "simulated:3",
      history: `sqlite:${join(directory, "hours.db")}`,
    },
  });
  expect(report.nodes.map(({ name, outputs }) => [name, outputs])).toEqual([
    ["sma", 168 - 19],
    ["zscore", 168 - 59],
  ]);
  expect(report.notes.join()).toContain("bars_5m is left out");
});
