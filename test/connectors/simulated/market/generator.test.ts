import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { generatedMarket } from "../../../../connectors/simulated/market/generator.ts";
import { pageText } from "../../../../connectors/simulated/market/market.ts";
import { Interval, intervalNames } from "../../../../runtime/index.ts";

const nowMs = Date.UTC(2025, 0, 1);
const startMs = Date.UTC(2020, 4, 17, 3, 20);
const minuteMs = 60_000;
type Row = [number, string, string, string, string, string, number, string, number, string, string];

interface Ask {
  readonly seed?: number;
  readonly symbol?: string;
  readonly interval?: string;
  readonly from?: number;
  readonly limit?: number;
  readonly nowMs?: number;
}

function rowsOf(ask: Ask = {}): Row[] {
  const interval = Interval.of(ask.interval ?? "1m");
  const series = generatedMarket(ask.seed ?? 1).series(ask.symbol ?? "BTCUSDT", interval, false);
  const text = pageText(series, {
    interval,
    startMs: ask.from ?? startMs,
    endMs: Number.MAX_SAFE_INTEGER,
    limit: ask.limit ?? 50,
    isFromEnd: false,
    nowMs: ask.nowMs ?? nowMs,
    unit: 1,
    gapsEvery: 0,
  });
  return JSON.parse(text) as Row[];
}

test("a bar opens at the close of the one before, in every interval", () => {
  for (const interval of intervalNames) {
    const rows = rowsOf({ interval, limit: 20 });
    for (const [i, row] of rows.entries()) {
      if (i === 0) continue;
      expect(row[1]).toBe(rows[i - 1]![4]);
      expect(row[0]).toBe(rows[i - 1]![6] + 1);
    }
  }
});

test("low ≤ open, close ≤ high, and takers bought no more than was traded", () => {
  for (const row of rowsOf({ limit: 1_000 })) {
    const [, open, high, low, close, volume, , quote, trades, takerBase, takerQuote] =
      row.map(Number);
    expect(low!).toBeGreaterThan(0);
    expect(Math.min(open!, close!)).toBeGreaterThanOrEqual(low!);
    expect(Math.max(open!, close!)).toBeLessThanOrEqual(high!);
    expect(takerBase!).toBeLessThanOrEqual(volume!);
    expect(takerQuote!).toBeLessThanOrEqual(quote!);
    expect(trades!).toBeGreaterThan(0);
  }
});

// Goal: N1, whoever asks in whatever order. Method: any page is a part of one long page.
test("bars are the same from any start", () => {
  const all = rowsOf({ limit: 400 });
  const property = fc.property(fc.nat(350), fc.integer({ min: 1, max: 40 }), (at, limit) => {
    const rows = rowsOf({ from: startMs + at * minuteMs, limit });
    expect(rows).toEqual(all.slice(at, at + limit));
  });
  fc.assert(property, { numRuns: 30 });
});

test("an hour opens and closes at the prices of its minutes", () => {
  const from = Date.UTC(2021, 1, 3);
  const minutes = rowsOf({ from, limit: 60 });
  const [hour] = rowsOf({ from, interval: "1h", limit: 1 });
  expect([hour?.[1], hour?.[4]]).toEqual([minutes[0]?.[1], minutes[59]?.[4]]);
});

test("another seed or symbol is another walk; prices stay within a factor of 8 of the centre", () => {
  const closes = (ask: Ask): string[] => rowsOf({ ...ask, limit: 5 }).map((row) => row[4]);
  expect(closes({ seed: 1 })).not.toEqual(closes({ seed: 2 }));
  expect(closes({ symbol: "AAAUSDT" })).not.toEqual(closes({ symbol: "AABUSDT" }));
  const weeks = rowsOf({ interval: "1w", from: Date.UTC(2017, 0, 2), limit: 400 });
  for (const week of weeks) {
    expect(Number(week[4])).toBeGreaterThan(60_000 / 8);
    expect(Number(week[4])).toBeLessThan(60_000 * 8);
  }
});

test("minute returns deviate like those of a market: 0.02 % to 0.2 %", () => {
  const closes = rowsOf({ limit: 1_000 }).map((row) => Number(row[4]));
  const returns = closes.slice(1).map((close, i) => Math.log(close / closes[i]!));
  const variance = returns.reduce((sum, value) => sum + value * value, 0) / returns.length;
  expect(Math.sqrt(variance)).toBeGreaterThan(2e-4);
  expect(Math.sqrt(variance)).toBeLessThan(2e-3);
});

test("the open bar moves with the clock and ends as the closed one", () => {
  const last = (afterMs: number): Row => rowsOf({ nowMs: startMs + afterMs, limit: 1 })[0]!;
  const early = last(10_000);
  const late = last(50_000);
  const closed = last(60_000);
  expect(early[1]).toBe(closed[1]);
  expect(Number(early[5])).toBeLessThan(Number(late[5]));
  expect(Number(late[5])).toBeLessThan(Number(closed[5]));
  expect(closed).toEqual(last(3_600_000));
});
