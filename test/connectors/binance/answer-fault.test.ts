import { expect, test } from "bun:test";
import {
  faultOfAnswer,
  faultOfNetwork,
  faultOfSilence,
} from "../../../connectors/binance/answer-fault.ts";

const subject = { path: "GET /api/v3/klines", host: "api.example" };
const nowMs = 1_700_000_000_000;

function faultOf(status: number, text = "", headers: Readonly<Record<string, string>> = {}) {
  return faultOfAnswer({ status, text, headers: new Headers(headers) }, subject, nowMs);
}

const refusal = (code: number, msg: string) => JSON.stringify({ code, msg });

test("200 is no fault; every other status has a code that says what the caller does next", () => {
  expect(faultOf(200)).toBeUndefined();
  for (const [status, text, code] of [
    [429, "", "EXCHANGE_RATE_LIMITED"],
    [418, "", "EXCHANGE_BANNED"],
    [403, "<html>", "EXCHANGE_RESTRICTED"],
    [451, "<html>", "EXCHANGE_RESTRICTED"],
    [500, "", "EXCHANGE_UNAVAILABLE"],
    [502, "<html>", "EXCHANGE_UNAVAILABLE"],
    [400, refusal(-1121, "Invalid symbol."), "SYMBOL_UNKNOWN"],
    [400, refusal(-1100, "Illegal characters found in parameter 'symbol'"), "SYMBOL_INVALID"],
    [400, refusal(-1100, "Illegal characters found in parameter 'limit'"), "EXCHANGE_REJECTED"],
    [404, "{ not JSON", "EXCHANGE_REJECTED"],
  ] as const) {
    expect([status, text, faultOf(status, text)?.code]).toEqual([status, text, code]);
  }
});

test("the exchange's own code and words are in the message, the code in the details too", () => {
  const fault = faultOf(400, refusal(-1130, "Data sent for parameter 'limit' is not valid."));
  expect(fault?.message).toBe(
    `Cannot read GET /api/v3/klines of api.example: it answered HTTP 400 with code -1130, "Data sent for parameter 'limit' is not valid.", wanted 200`,
  );
  expect(fault?.details).toEqual({ status: 400, exchangeCode: -1130 });
});

test("how long to keep silent: the header, else the message, else the shortest there is", () => {
  const waits = [
    faultOf(429, "", { "retry-after": "7" }),
    faultOf(429, "", { "retry-after": "0" }),
    faultOf(429, "", { "retry-after": "soon" }),
    faultOf(418, refusal(-1003, `IP banned until ${nowMs + 90_000}. Please`)),
    faultOf(418, refusal(-1003, `IP banned until ${nowMs - 90_000}. Please`)),
    faultOf(418),
  ];
  expect(waits.map((fault) => fault?.details["retryAfterMs"])).toEqual([
    7_000, 1_000, 60_000, 90_000, 1_000, 120_000,
  ]);
});

test("an exchange that cannot be reached is told with the cause; a cut answer is another matter", () => {
  const failed = (code: string) => Object.assign(new Error("failed"), { code });
  for (const [code, cause, says] of [
    ["ENOTFOUND", "dns", "its name has no address"],
    ["ECONNREFUSED", "connect", "it does not accept connections"],
    ["UNABLE_TO_VERIFY_LEAF_SIGNATURE", "tls", "the TLS handshake failed"],
    ["DEPTH_ZERO_SELF_SIGNED_CERT", "tls", "the TLS handshake failed"],
    ["ECONNRESET", "reset", "the connection was cut before an answer"],
  ] as const) {
    const fault = faultOfNetwork(failed(code), subject, false);
    expect(fault).toMatchObject({ code: "EXCHANGE_UNREACHABLE", details: { cause } });
    expect(fault.message).toBe(
      `Cannot reach the exchange at api.example: ${says} (${code}), wanted an answer`,
    );
  }
  expect(faultOfNetwork(failed("ECONNRESET"), subject, true).code).toBe("EXCHANGE_UNAVAILABLE");
  expect(faultOfSilence(subject, 5_000).message).toContain("no byte came (within 5 s)");
});
