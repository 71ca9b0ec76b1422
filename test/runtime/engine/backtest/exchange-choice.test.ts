import { expect, test } from "bun:test";
import { connectors } from "../../../../connectors/index.ts";
import {
  chooseExchange,
  isExchangeNamed,
  openStandIn,
} from "../../../../runtime/engine/backtest/exchange-choice.ts";
import { type RunSettingsInput, resolveSettings } from "../../../../runtime/engine/settings.ts";
import { Interval } from "../../../../runtime/index.ts";
import { failureOf } from "../../../contract/failure-of.ts";
import { exchangeAt, servedExchange } from "../../../harness/served-exchange.ts";

const signal = AbortSignal.timeout(20_000);
const settingsOf = (given: RunSettingsInput) => resolveSettings(given, {}, "no-such-file.yml");

async function choose(url: string, given: RunSettingsInput = {}, symbols = ["BTCUSDT"]) {
  const notices: string[] = [];
  const asked = {
    settings: settingsOf(given),
    symbols,
    onNotice: (line: string) => notices.push(line),
  };
  const client = exchangeAt(url, { silenceMsMax: 1_000, backoffMsBase: 1 });
  const chosen = await chooseExchange({ ...connectors, ...client }, asked, signal);
  if (chosen.kind === "open") await chosen.exchange.close();
  return { chosen, notices };
}

const generated = {
  source: { kind: "generated" as const, seed: 1 },
  serverTimeMs: 1_700_000_000_000,
};

test("only auto without a named URL may be replaced", () => {
  expect(isExchangeNamed(settingsOf({}))).toBe(false);
  expect(isExchangeNamed(settingsOf({ exchange: "auto" }))).toBe(false);
  expect(isExchangeNamed(settingsOf({ exchange: "binance" }))).toBe(true);
  expect(isExchangeNamed(settingsOf({ binanceUrl: "http://127.0.0.1:9" }))).toBe(true);
});

test("an exchange that answers is open, with its clock", async () => {
  await using simulator = await servedExchange(generated);
  const { chosen } = await choose(simulator.url);
  expect(chosen).toMatchObject({ kind: "open", serverTimeMs: 1_700_000_000_000 });
});

for (const [fault, says] of [
  ["stall", "no byte came"],
  ["403", "security filter blocks this address"],
  ["451", "does not serve this location"],
] as const) {
  test(`auto: ${fault} is unreachable and says why; a named exchange throws it`, async () => {
    await using simulator = await servedExchange({ ...generated, faults: [fault] });
    const { chosen } = await choose(simulator.url);
    const reason = chosen.kind === "unreachable" ? chosen.reason : "";
    expect(reason).toMatch(new RegExp(`^127\\.0\\.0\\.1:\\d+: .*${says}`));
    // What was wanted is for an error; this goes into a sentence.
    expect(reason).not.toContain("wanted");
    const named = choose(simulator.url, { exchange: "binance" });
    const code = fault === "stall" ? "EXCHANGE_UNREACHABLE" : "EXCHANGE_RESTRICTED";
    expect(await failureOf(named)).toMatchObject({ code });
  });
}

test("auto: an exchange that is there and refuses the symbol is not replaced", async () => {
  await using simulator = await servedExchange(generated);
  const refused = choose(simulator.url, {}, ["BTCUSDT", "no"]);
  expect(await failureOf(refused)).toMatchObject({ code: "SYMBOL_INVALID" });
});

test("a wait for the exchange's limit is passed on", async () => {
  await using simulator = await servedExchange({
    ...generated,
    faults: ["429:times=1,retryAfter=1"],
  });
  const { chosen, notices } = await choose(simulator.url);
  expect(chosen.kind).toBe("open");
  expect(notices).toEqual([expect.stringContaining("all requests wait for 1 s")]);
});

test("the stand-in is the same market for everyone, and marked as simulated", async () => {
  const page = async () => {
    const exchange = await openStandIn(connectors, signal);
    try {
      expect([exchange.isSimulated, exchange.name]).toEqual([true, "simulated"]);
      const range = { start: 1_700_000_000_000, end: 1_700_003_600_000 };
      const request = { symbol: "BTCUSDT", interval: Interval.of("1m"), range };
      return (await exchange.klines(request, signal)).rows;
    } finally {
      await exchange.close();
    }
  };
  expect(await page()).toEqual(await page());
});
