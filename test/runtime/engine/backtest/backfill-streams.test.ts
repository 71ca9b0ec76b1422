import { expect, test } from "bun:test";
import { openHistory } from "../../../../connectors/memory/index.ts";
import { kline, StreamInput, sma } from "../../../../nodes/index.ts";
import {
  backfillStreams,
  streamRoots,
} from "../../../../runtime/engine/backtest/backfill-streams.ts";
import { type RunProgress } from "../../../../runtime/engine/backtest/report.ts";
import { buildGraph } from "../../../../runtime/graph/graph.ts";
import { type Exchange } from "../../../../runtime/index.ts";
import { failureOf } from "../../../contract/failure-of.ts";
import { exchangeAt, servedExchange } from "../../../harness/served-exchange.ts";

const signal = AbortSignal.timeout(20_000);
const hour = 3_600_000;
const range = { start: Date.UTC(2025, 0, 1), end: Date.UTC(2025, 0, 1, 12) };

function graphOf(symbols: readonly string[]) {
  const minutes = new StreamInput({ symbols, interval: "1m", period: 2, schema: kline });
  const hours = new StreamInput({ symbols, interval: "1h", period: 2, schema: kline });
  const nodes = [sma(minutes, "close", { length: 2 }), sma(hours, "close", { length: 2 })];
  return buildGraph(nodes.map(({ declaration }) => declaration));
}

async function fill(symbols: readonly string[], exchange: Exchange | undefined, to = range) {
  const progress: RunProgress[] = [];
  const store = await openHistory("memory:", { mode: "write", isSimulated: false }, signal);
  const run = {
    graph: graphOf(symbols),
    store,
    exchange,
    range: to,
    isRefetching: false,
    onProgress: (step: RunProgress) => progress.push(step),
  };
  return { run, progress, fills: async () => await backfillStreams(run, signal) };
}

async function serve(faults: readonly string[] = []) {
  return await servedExchange({
    source: { kind: "generated", seed: 1 },
    serverTimeMs: range.end + 2_000 * hour,
    faults: [...faults],
  });
}

async function clientOf({ url }: { readonly url: string }): Promise<Exchange> {
  const { openExchange } = exchangeAt(url, { backoffMsBase: 1, tryCountMax: 2 });
  return await openExchange({ kind: "binance" }, {}, signal);
}

test("each key of each stream is filled, and reported in the graph's order", async () => {
  await using simulator = await serve();
  const exchange = await clientOf(simulator);
  const symbols = ["A1USDT", "B2USDT", "C3USDT", "D4USDT", "E5USDT"];
  const { run, fills } = await fill(symbols, exchange);
  const reports = await fills();
  expect(reports.map(({ key, interval, fetched }) => [key, interval, fetched])).toEqual([
    ...symbols.map((symbol) => [symbol, "1m", 720]),
    ...symbols.map((symbol) => [symbol, "1h", 12]),
  ]);
  expect(streamRoots(run.graph).map(({ series }) => series.nodeId)).toEqual(
    reports.map(({ nodeId }) => nodeId),
  );
});

test("an end within a bar of a coarser stream leaves that bar out", async () => {
  await using simulator = await serve();
  const exchange = await clientOf(simulator);
  const { fills } = await fill(["A1USDT"], exchange, { ...range, end: range.end + 0.5 * hour });
  expect((await fills()).map(({ fetched, missing }) => [fetched, missing])).toEqual([
    [750, []],
    [12, []],
  ]);
});

test("without an exchange nothing is fetched, and all of it is missing", async () => {
  const { fills } = await fill(["A1USDT"], undefined);
  expect((await fills()).map(({ fetched, missing }) => [fetched, missing])).toEqual([
    [0, [range]],
    [0, [range]],
  ]);
});

test("the first failure stops all, and is what is thrown", async () => {
  await using simulator = await serve(["500:path=klines"]);
  const exchange = await clientOf(simulator);
  const { fills } = await fill(["A1USDT", "B2USDT", "C3USDT"], exchange);
  expect(await failureOf(fills())).toMatchObject({ code: "EXCHANGE_UNAVAILABLE" });
});

test("before a long backfill its cost is told: requests, weight and time", async () => {
  await using simulator = await serve();
  const exchange = await clientOf(simulator);
  const long = { start: range.start, end: range.start + 60_000 * 50_000 };
  const { progress, fills } = await fill(["A1USDT"], exchange, long);
  await fills();
  expect(progress[0]).toEqual({
    kind: "note",
    text: expect.stringMatching(
      /^To fetch: 50,833 bars in 51 requests of weight 103, at least \d+ s$/,
    ) as unknown as string,
  });
});
