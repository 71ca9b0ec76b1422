import { expect } from "bun:test";
import { type ExchangeOptions, openExchange } from "../../../connectors/binance/index.ts";
import {
  type ExchangeSimulator,
  type SimulatorOptions,
  startExchangeSimulator,
} from "../../../connectors/simulated/index.ts";
import { type Exchange, Interval, QmtlError } from "../../../runtime/index.ts";
import { SkippingClock } from "./skipping-clock.ts";

/** Interval of most tests. */
export const minute = Interval.of("1m");
/** Length of a minute, ms. */
export const minuteMs = 60_000;
/** Where the machine's clock stands at the start: 2024-01-01. */
export const startMs = Date.UTC(2024, 0, 1);
/** A signal that never aborts. */
export const signal = new AbortController().signal;
/** What `closeOpened` closes. */
export const opened: { close(): Promise<void> }[] = [];

/** Closes what a test opened, last one first; each test file registers it itself. */
export async function closeOpened(): Promise<void> {
  for (const resource of opened.splice(0).toReversed()) await resource.close();
}

/** A simulator and a client on one clock. */
export interface Pair {
  readonly simulator: ExchangeSimulator;
  readonly exchange: Exchange;
  readonly clock: SkippingClock;
}

/** A simulator and a client on one clock that skips all waits. */
export async function startPair(
  server: Partial<SimulatorOptions> = {},
  client: ExchangeOptions = {},
): Promise<Pair> {
  const clock = new SkippingClock(startMs);
  const simulator = await startExchangeSimulator({
    source: { kind: "generated", seed: 7 },
    serverTimeMs: at(5_000.5),
    clock,
    ...server,
  });
  const exchange = openExchange({ baseUrl: simulator.url, clock, seed: 1, ...client });
  opened.push(simulator, exchange);
  return { simulator, exchange, clock };
}

/** Opening time of minute `n`, ms. */
export const at = (n: number): number => startMs + n * minuteMs;

/** What `fetchAll` got. */
export interface Fetched {
  /** One array per bar: ts and all columns. */
  readonly rows: readonly (readonly number[])[];
  readonly pages: number;
  readonly end: number;
}

/** All of a range as the engine asks for it: again from `settled.end` until nothing moves. */
export async function fetchAll(
  exchange: Exchange,
  range: { readonly start: number; readonly end: number },
  symbol = "BTCUSDT",
  interval = minute,
): Promise<Fetched> {
  const rows: number[][] = [];
  let from = range.start;
  for (let pages = 1; ; pages += 1) {
    const request = { symbol, interval, range: { start: from, end: range.end } };
    const page = await exchange.klines(request, signal);
    expect(page.settled.start).toBe(from);
    for (let i = 0; i < page.rows.count; i += 1) {
      rows.push([page.rows.ts[i]!, ...page.rows.columns.map((column) => column[i]!)]);
    }
    if (page.settled.end === from || page.settled.end === range.end) {
      return { rows, pages, end: page.settled.end };
    }
    from = page.settled.end;
  }
}

/** The error that `promise` must fail with. */
export async function failureOf(promise: Promise<unknown>): Promise<QmtlError> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (error instanceof QmtlError) return error;
  throw new Error(`no refusal: ${String(error)}`);
}

/** How many requests a path got. */
export const countOf = (simulator: ExchangeSimulator, path: string): number =>
  simulator.requests.filter((request) => request.path === `/api/v3/${path}`).length;
