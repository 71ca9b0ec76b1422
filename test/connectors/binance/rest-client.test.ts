import { afterEach, expect, test } from "bun:test";
import { openExchange } from "../../../connectors/binance/index.ts";
import { connectors } from "../../../connectors/index.ts";
import { hasCode, QmtlError, systemClock } from "../../../runtime/index.ts";
import {
  at,
  closeOpened,
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

for (const [kind, seconds] of [
  ["429", 37],
  ["418", 240],
] as const) {
  test(`after ${kind} no request of any stream goes out before Retry-After`, async () => {
    const notices: string[] = [];
    const { exchange, simulator, clock } = await startPair(
      {},
      { pageRowsMax: 10, requestsInFlightMax: 2, onNotice: (line) => notices.push(line) },
    );
    await exchange.serverTime(signal);
    simulator.faults.next(kind, { retryAfterSeconds: seconds });
    const range = { start: at(0), end: at(100) };
    const symbols = ["BTCUSDT", "ETHUSDT", "BNBUSDT"];
    const all = await Promise.all(
      symbols.map(async (name) => await fetchAll(exchange, range, name)),
    );
    for (const fetched of all) expect(fetched.rows).toHaveLength(100);
    const stop = simulator.requests.find(({ status }) => status === Number(kind));
    const early = simulator.requests.filter(
      ({ timeMs }) => timeMs > stop!.timeMs && timeMs < stop!.timeMs + seconds * 1_000,
    );
    expect(early).toEqual([]);
    expect(clock.now()).toBeGreaterThanOrEqual(startMs + seconds * 1_000);
    expect(notices[0]).toContain(`all requests wait for ${seconds} s`);
  });
}

test("a ban longer than is waited for is EXCHANGE_BANNED at once, for all that follow too", async () => {
  const { exchange, simulator, clock } = await startPair({}, { stopMsMax: 60_000 });
  await exchange.serverTime(signal);
  simulator.faults.next("418", { retryAfterSeconds: 259_200 });
  const error = await failureOf(exchange.serverTime(signal));
  expect([error.code, error.message]).toEqual([
    "EXCHANGE_BANNED",
    expect.stringContaining("banned for 259200 s") as unknown as string,
  ]);
  const count = simulator.requests.length;
  expect((await failureOf(exchange.serverTime(signal))).code).toBe("EXCHANGE_BANNED");
  expect(simulator.requests).toHaveLength(count);
  expect(clock.now()).toBe(startMs);
});

test("retries are bounded, and pauses grow within their limits", async () => {
  const { exchange, simulator, clock } = await startPair(
    {},
    { tryCountMax: 5, backoffMsBase: 100, backoffMsMax: 400 },
  );
  simulator.faults.next("502", { times: 100 });
  const error = await failureOf(exchange.serverTime(signal));
  expect([error.code, error.details["tries"]]).toEqual(["EXCHANGE_UNAVAILABLE", 5]);
  expect(error.message).toContain("HTTP 502");
  expect(simulator.requests).toHaveLength(5);
  expect(clock.sleeps).toHaveLength(4);
  for (const [i, limit] of [100, 200, 400, 400].entries()) {
    expect(clock.sleeps[i]!).toBeLessThanOrEqual(limit);
  }
});

test("451 is EXCHANGE_RESTRICTED and never retried, in the middle of a run neither", async () => {
  const { exchange, simulator } = await startPair();
  await exchange.serverTime(signal);
  simulator.faults.next("451");
  const error = await failureOf(exchange.serverTime(signal));
  expect(error.code).toBe("EXCHANGE_RESTRICTED");
  expect(error.message).toContain("does not serve this location");
  expect(error.message).toContain("restricted location according to");
  expect(connectors.isUnreachable(error)).toBe(true);
  expect(simulator.requests).toHaveLength(2);
});

test("403 is thrown at the start; in the middle of a run all wait a minute and try once more", async () => {
  const { exchange, simulator, clock } = await startPair();
  simulator.faults.next("403");
  const first = await failureOf(exchange.serverTime(signal));
  expect([first.code, connectors.isUnreachable(first)]).toEqual(["EXCHANGE_RESTRICTED", true]);
  expect(first.message).toContain("security filter");
  expect(clock.now()).toBe(startMs);
  await exchange.serverTime(signal);
  simulator.faults.next("403");
  await exchange.serverTime(signal);
  expect(clock.now()).toBe(startMs + minuteMs);
  simulator.faults.next("403", { times: 2 });
  expect((await failureOf(exchange.serverTime(signal))).code).toBe("EXCHANGE_RESTRICTED");
});

test("an exchange that cannot be reached is told at once, with the cause", async () => {
  const { simulator, exchange: slow } = await startPair(
    { faults: ["stall"] },
    { silenceMsMax: 100 },
  );
  const tls = simulator.url.replace("http:", "https:");
  const unused = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response() });
  const refused = `http://127.0.0.1:${unused.port}`;
  await unused.stop(true);
  for (const [baseUrl, cause] of [
    ["http://no-such-host.invalid", "dns"],
    [refused, "connect"],
    [tls, "tls"],
  ] as const) {
    const exchange = openExchange({ baseUrl, clock: systemClock });
    opened.push(exchange);
    const error = await failureOf(exchange.serverTime(signal));
    expect([error.code, error.details["cause"]]).toEqual(["EXCHANGE_UNREACHABLE", cause]);
    expect(error.message).toContain(new URL(baseUrl).host);
    expect(connectors.isUnreachable(error)).toBe(true);
  }
  const error = await failureOf(slow.serverTime(signal));
  expect([error.code, error.details["cause"]]).toEqual(["EXCHANGE_UNREACHABLE", "stall"]);
  expect(error.message).toContain("no byte came (within 0.1 s)");
  expect(simulator.requests).toHaveLength(1);
});

test("once reached, a silent exchange is tried again before it is unreachable", async () => {
  const { exchange, simulator } = await startPair({}, { silenceMsMax: 100, tryCountMax: 3 });
  await exchange.serverTime(signal);
  simulator.faults.next("stall", { times: 2 });
  await exchange.serverTime(signal);
  simulator.faults.next("stall", { times: 3 });
  const error = await failureOf(exchange.serverTime(signal));
  expect([error.code, error.details["tries"]]).toEqual(["EXCHANGE_UNREACHABLE", 3]);
});

test("connectors.isUnreachable() is false for what an exchange that is there answers", async () => {
  const { exchange, simulator } = await startPair({}, { tryCountMax: 1 });
  for (const kind of ["429", "500", "html", "cut"] as const) {
    simulator.faults.next(kind, { retryAfterSeconds: 1 });
    expect([kind, connectors.isUnreachable(await failureOf(exchange.serverTime(signal)))]).toEqual([
      kind,
      false,
    ]);
  }
});

test("a page of HTML or a malformed row is EXCHANGE_RESPONSE_INVALID, saying what was found", async () => {
  const { exchange, simulator } = await startPair({}, { tryCountMax: 1 });
  await exchange.serverTime(signal);
  simulator.faults.next("html");
  const range = { start: at(0), end: at(2) };
  const request = { symbol: "BTCUSDT", interval: minute, range };
  const html = await failureOf(exchange.klines(request, signal));
  expect(html.code).toBe("EXCHANGE_RESPONSE_INVALID");
  expect(html.message).toContain('begins with "<!DOCTYPE HTML>');
  simulator.faults.next("malformed");
  const row = await failureOf(exchange.klines(request, signal));
  expect(row.code).toBe("EXCHANGE_RESPONSE_INVALID");
  expect(row.message).toContain('close of row 0 of a klines answer: found "n/a"');
});

test("close() ends what is under way and what follows, twice without complaint", async () => {
  const { exchange, simulator } = await startPair({ faults: ["stall"] });
  const pending = failureOf(exchange.serverTime(signal));
  while (simulator.requests.length === 0) await Bun.sleep(1);
  await exchange.close();
  await exchange.close();
  expect((await pending).code).toBe("ABORTED");
  expect((await failureOf(exchange.serverTime(signal))).code).toBe("ABORTED");
});

test("the caller's signal ends a request under way, a back-off and a stop", async () => {
  const { exchange, simulator } = await startPair(
    {},
    { clock: systemClock, backoffMsBase: 60_000 },
  );
  const reason = new QmtlError("ABORTED", "enough");
  await exchange.serverTime(signal);
  for (const [kind, retryAfterSeconds] of [
    ["stall", 1],
    ["500", 1],
    ["429", 60],
  ] as const) {
    const seen = simulator.requests.length;
    simulator.faults.next(kind, { retryAfterSeconds });
    const controller = new AbortController();
    const pending = failureOf(exchange.serverTime(controller.signal));
    while (simulator.requests.length === seen) await Bun.sleep(1);
    controller.abort(reason);
    expect([kind, await pending]).toEqual([kind, reason]);
  }
});

test("bad settings are CONFIG_INVALID, all faults at once", () => {
  const open = (): unknown => openExchange({ baseUrl: "ftp://x", pageRowsMax: 1_001 });
  let error: unknown;
  try {
    open();
  } catch (thrown) {
    error = thrown;
  }
  expect(hasCode(error, "CONFIG_INVALID")).toBe(true);
  expect(String(error)).toContain("baseUrl");
  expect(String(error)).toContain("pageRowsMax");
});
