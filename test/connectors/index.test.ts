import { expect, test } from "bun:test";
import { connectors } from "qmtl/connectors";
import { Interval, QmtlError } from "../../runtime/index.ts";
import { scratchDirectory } from "../harness/scratch.ts";

const directory = scratchDirectory();
const signal = AbortSignal.timeout(10_000);

test("each scheme leads to a module that has the door for its port", async () => {
  for (const [port, url, door] of [
    ["history", `sqlite:${directory}/h.db`, "openHistory"],
    ["history", "memory:", "openHistory"],
    ["state", "memory:", "openState"],
    ["state", `sqlite:${directory}/s.db`, "openState"],
    ["state", "redis://127.0.0.1:1", "openState"],
    ["transport", "memory:x", "openTransport"],
  ] as const) {
    const ref = connectors.refOf(port, url);
    expect([ref.url, ref.export]).toEqual([url, door]);
    const module = (await import(ref.module)) as Record<string, unknown>;
    expect(typeof module[door]).toBe("function");
  }
});

test("a scheme that does not serve the port is refused, naming those that do", () => {
  expect(() => connectors.refOf("history", "mysql:x")).toThrow(
    /found the scheme "mysql", wanted one of .*memory.*sqlite/,
  );
  expect(() => connectors.refOf("history", "redis://127.0.0.1")).toThrow("wanted one of");
  expect(() => connectors.refOf("history", "sqlite")).toThrow("wanted one of");
});

test("the simulated exchange serves its own bars, and its server ends with it", async () => {
  const exchange = await connectors.openExchange({ kind: "simulated", seed: 4 }, {}, signal);
  await exchange.serverTime(signal);
  const range = { start: Date.UTC(2025, 0, 1), end: Date.UTC(2025, 0, 1, 1) };
  const request = { symbol: "BTCUSDT", interval: Interval.of("1m"), range };
  expect((await exchange.klines(request, signal)).rows.count).toBe(60);
  expect([exchange.name, exchange.isSimulated]).toEqual(["simulated", true]);
  await exchange.close();
  await exchange.close();
  expect(exchange.serverTime(signal)).rejects.toThrow("it was closed");
});

test("recorded data that are not there are refused", () => {
  const opening = connectors.openExchange({ kind: "recorded", dir: directory }, {}, signal);
  expect(opening).rejects.toThrow("Cannot read recorded data");
});

test("only what says that nobody is there, or lets us in, counts as unreachable", () => {
  const of = (code: QmtlError["code"]) => connectors.isUnreachable(new QmtlError(code, "x"));
  expect([of("EXCHANGE_UNREACHABLE"), of("EXCHANGE_RESTRICTED")]).toEqual([true, true]);
  expect([of("EXCHANGE_BANNED"), of("SYMBOL_UNKNOWN")]).toEqual([false, false]);
  expect(connectors.isUnreachable(new Error("EXCHANGE_UNREACHABLE"))).toBe(false);
});
