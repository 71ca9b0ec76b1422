import { expect, test } from "bun:test";
import { join } from "node:path";
import { kline, Strategy, StreamInput } from "../../../../nodes/index.ts";
import {
  type Exchange,
  Interval,
  QmtlError,
  type StrategyClass,
} from "../../../../runtime/index.ts";
import { BinanceHistory } from "../../../../strategies/binance_history.ts";
import { failureOf } from "../../../contract/failure-of.ts";
import { type BacktestRun, runBacktest } from "../../../harness/backtest-run.ts";
import { scratchDirectory } from "../../../harness/scratch.ts";
import { exchangeAt, servedExchange } from "../../../harness/served-exchange.ts";
import { readStore } from "../../../harness/stored-rows.ts";

const directory = scratchDirectory();
const hour = 3_600_000;
const start = Date.UTC(2025, 0, 1);
let runs = 0;

function runOf(settings: object, more: Partial<BacktestRun> = {}): BacktestRun {
  runs += 1;
  const history = `sqlite:${join(directory, `${runs}.db`)}`;
  const given = { start, end: start + 6 * hour, exchange: "simulated", history, ...settings };
  return { strategy: BinanceHistory, symbols: ["BTCUSDT"], settings: given, ...more };
}

/** Connectors whose exchange counts how often it was closed. */
function counted(url: string) {
  const closes = { opened: 0, closed: 0 };
  const { openExchange } = exchangeAt(url);
  const connectors = {
    openExchange: async (...args: Parameters<typeof openExchange>): Promise<Exchange> => {
      const exchange = await openExchange(...args);
      closes.opened += 1;
      const close = exchange.close.bind(exchange);
      exchange.close = async () => {
        closes.closed += 1;
        await close();
      };
      return exchange;
    },
  };
  return { closes, connectors };
}

test("without a start the range is the last days, without an end it goes to the last closed bar", async () => {
  const now = start + 30 * hour + 12_345;
  await using simulator = await servedExchange({
    source: { kind: "generated", seed: 1 },
    serverTimeMs: now,
  });
  const run = runOf(
    { start: undefined, end: undefined },
    { connectors: exchangeAt(simulator.url) },
  );
  const { report } = await runBacktest(run);
  // The harness asks for one day.
  expect([report.start, report.end]).toEqual([start + 6 * hour, start + 30 * hour]);
  expect(report.streams[0]?.rows).toBe(24 * 60);
});

test("a start that is not before the end, or lies in the future, is refused by name", async () => {
  const turned = runBacktest(runOf({ end: start }));
  expect(await failureOf(turned)).toMatchObject({ code: "RANGE_INVALID" });
  const future = runBacktest(runOf({ start: "2091-01-01", end: undefined }));
  expect(await failureOf(future)).toMatchObject({ code: "RANGE_IN_FUTURE" });
});

test("the exchange is closed once, however the run ends", async () => {
  await using simulator = await servedExchange({
    source: { kind: "generated", seed: 1 },
    serverTimeMs: start + 24 * hour,
  });
  const fine = counted(simulator.url);
  await runBacktest(runOf({}, { connectors: fine.connectors }));
  expect(fine.closes).toEqual({ opened: 1, closed: 1 });
  const future = counted(simulator.url);
  const late = runOf(
    { start: start + 48 * hour, end: undefined },
    { connectors: future.connectors },
  );
  await failureOf(runBacktest(late));
  expect(future.closes).toEqual({ opened: 1, closed: 1 });
  const refused = counted(simulator.url);
  await failureOf(runBacktest(runOf({}, { connectors: refused.connectors, symbols: ["btc"] })));
  expect(refused.closes).toEqual({ opened: 1, closed: 1 });
});

test("a range that is stored is replayed without an exchange", async () => {
  const run = runOf({});
  const first = await runBacktest(run);
  const openExchange = async (): Promise<Exchange> => {
    throw new QmtlError("EXCHANGE_UNREACHABLE", "Cannot be asked at all");
  };
  const part = { ...run, settings: { ...run.settings, start: start + hour } };
  const { report } = await runBacktest({ ...part, connectors: { openExchange } });
  expect(report).toMatchObject({ exchange: "none", records: 300, requests: 0 });
  expect(first.report).toMatchObject({ exchange: "simulated", records: 360 });
});

test("simulated bars lie in a file of their own, which the report names", async () => {
  const run = runOf({});
  const { report } = await runBacktest(run);
  const history = String(run.settings.history);
  expect([report.simulated, report.history]).toEqual([true, `${history}.simulated`]);
  const store = await readStore(report.history.slice("sqlite:".length));
  expect(store.size).toBe(4);
  const limited = runOf({ history: `${history}?bytesMax=100000000` });
  expect((await runBacktest(limited)).report.history).toBe(
    `${history}.simulated?bytesMax=100000000`,
  );
});

test("a store that fails while outputs are recorded ends the run with its error", async () => {
  const error = await failureOf(
    runBacktest(
      runOf({
        end: start + 96 * hour,
        history: `sqlite:${join(directory, "small.db")}?bytesMax=917504`,
      }),
    ),
  );
  expect(error).toMatchObject({ code: "STORE_FULL" });
});

test("outputs are covered from the first of them to the end of the range", async () => {
  const run = runOf({});
  const { report } = await runBacktest(run);
  const { openHistory } = await import("../../../../connectors/sqlite/index.ts");
  const options = { mode: "read", isSimulated: true } as const;
  const store = await openHistory(
    String(run.settings.history),
    options,
    AbortSignal.timeout(5_000),
  );
  const ends: unknown[] = [];
  for (const series of await store.list(AbortSignal.timeout(5_000))) {
    const { have } = await store.coverage(series, AbortSignal.timeout(5_000));
    ends.push([report.nodes.find(({ nodeId }) => nodeId === series.nodeId)?.name ?? "bars", have]);
  }
  await store.close();
  const end = start + 6 * hour;
  const minute = Interval.of("1m").lengthMs;
  expect(ends).toEqual([
    ["bars", [{ start, end }]],
    ["sma", [{ start: start + 19 * minute, end }]],
    ["zscore", [{ start: start + 59 * minute, end }]],
    ["bars_5m", [{ start, end }]],
  ]);
});

test("without a setting, rows lie where the streams say, and two that disagree are named", async () => {
  const stored = `sqlite:${join(directory, "named.db")}`;
  const namedBy = (...urls: readonly string[]): StrategyClass =>
    class Named extends Strategy {
      setup() {
        for (const [i, url] of urls.entries()) {
          const recorder = { eventRecorder: { url } };
          const symbol = i === 0 ? "BTCUSDT" : "ETHUSDT";
          const interval = i === 0 ? "1m" : "5m";
          this.addNodes([
            new StreamInput({ symbol, interval, period: 1, schema: kline, ...recorder }),
          ]);
        }
      }
    };
  const { history: _, ...settings } = runOf({}).settings;
  const run = { ...runOf({}), settings };
  const { report } = await runBacktest({ ...run, strategy: namedBy(stored) });
  expect(report.history).toBe(`${stored}.simulated`);
  const two = { ...run, strategy: namedBy(stored, "sqlite:other.db") };
  expect(await failureOf(runBacktest(two))).toMatchObject({
    message: `Cannot choose the history store: the streams name ${stored} and sqlite:other.db, wanted one (--history)`,
  });
});
