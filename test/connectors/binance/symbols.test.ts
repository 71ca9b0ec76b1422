import { expect, test } from "bun:test";
import { checkSymbolText, exchangeInfoOf } from "../../../connectors/binance/symbols.ts";

test("a symbol in lower case is refused with the one that is meant, others with the rule", () => {
  for (const symbol of ["BTCUSDT", "1000SATSUSDT", "A-B_C.D", "币安人生USDT"]) {
    expect(() => checkSymbolText(symbol)).not.toThrow();
  }
  expect(() => checkSymbolText("btcUSDT")).toThrow('found "btcUSDT", wanted "BTCUSDT"');
  for (const symbol of ["", "BTC/USDT", "BTC USDT", "X".repeat(21)]) {
    expect(() => checkSymbolText(symbol)).toThrow("wanted 1 to 20 upper-case letters, digits");
  }
});

test("exchangeInfo gives the symbols of any status and the weight of one minute", () => {
  const info = exchangeInfoOf({
    rateLimits: [
      { rateLimitType: "ORDERS", interval: "MINUTE", intervalNum: 1, limit: 50 },
      { rateLimitType: "REQUEST_WEIGHT", interval: "MINUTE", intervalNum: 5, limit: 9 },
      { rateLimitType: "REQUEST_WEIGHT", interval: "MINUTE", intervalNum: 1, limit: 6_000 },
    ],
    symbols: [
      { symbol: "BTCUSDT", status: "TRADING", more: [] },
      { symbol: "VENUSDT", status: "BREAK" },
      {},
      5,
    ],
  });
  expect([...info.symbols]).toEqual(["BTCUSDT", "VENUSDT"]);
  expect(info.weightPerMinute).toBe(6_000);
});

test("without a list of symbols it is no answer; without limits it is one", () => {
  for (const body of [undefined, null, "text", [], {}, { symbols: 5 }]) {
    expect(() => exchangeInfoOf(body)).toThrow(
      "Cannot read exchangeInfo: it has no list of symbols",
    );
  }
  expect(exchangeInfoOf({ symbols: [] }).weightPerMinute).toBeUndefined();
});
