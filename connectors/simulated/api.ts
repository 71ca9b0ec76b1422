import { Interval, intervalNames } from "../../runtime/index.ts";
import { quoteAssets } from "./market/generator.ts";
import { type Market, pageText, type TimeUnit } from "./market/market.ts";

/** 2017-01-01: earlier bounds are moved here. */
const earliestMs = Date.UTC(2017, 0, 1);
const limitDefault = 500;
const limitMax = 1_000;
const microsecondsMin = 1e15;
const symbolText = "^[A-Z0-9-_.]{1,20}$";
const symbolPattern = /^[\p{Lu}\p{Lo}\p{N}._-]{1,20}$/u;
const symbolsText = String.raw`^\[("[A-Z0-9-_.]{1,20}"(,"[A-Z0-9-_.]{1,20}"){0,}){0,1}\]$`;
const klinesParams = ["symbol", "interval", "startTime", "endTime", "timeZone", "limit"];
const exchangeInfoParams = [
  "symbol",
  "symbols",
  "permissions",
  "showPermissionSets",
  "symbolStatus",
];

/** A request that the exchange refuses with HTTP 400 and `{code, msg}`. */
export class ApiRefusal extends Error {
  override readonly name = "ApiRefusal";
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

/** What an endpoint answers from. */
export interface ApiState {
  readonly market: Market;
  /** The exchange's clock. */
  readonly nowMs: number;
  readonly unit: TimeUnit;
  readonly gapsEvery: number;
  readonly showsOpen: boolean;
  readonly weightPerMinute: number;
}

/** An endpoint: what it charges, and the JSON text it answers. */
export interface Endpoint {
  readonly weight: number;
  /** @throws ApiRefusal with the exchange's own code and words. */
  answer(params: URLSearchParams, state: ApiState): string;
}

/** The endpoints by path. */
export const endpoints: ReadonlyMap<string, Endpoint> = new Map([
  ["/api/v3/ping", { weight: 1, answer: answerPing }],
  ["/api/v3/time", { weight: 1, answer: answerTime }],
  ["/api/v3/klines", { weight: 2, answer: answerKlines }],
  ["/api/v3/exchangeInfo", { weight: 20, answer: answerExchangeInfo }],
]);

function answerPing(params: URLSearchParams): string {
  refuseParams(params);
  return "{}";
}

function answerTime(params: URLSearchParams, state: ApiState): string {
  refuseParams(params);
  return JSON.stringify({ serverTime: state.nowMs * state.unit });
}

/**
 * Order of the checks as seen on the exchange: duplicates, missing symbol, missing interval,
 * unknown parameters, then values in the order of the documentation.
 */
function answerKlines(params: URLSearchParams, state: ApiState): string {
  refuseDuplicates(params);
  const symbol = mandatory(params, "symbol");
  const intervalName = mandatory(params, "interval");
  refuseUnknown(params, klinesParams);
  if (!symbolPattern.test(symbol)) throw illegal("symbol", symbolText);
  const startTime = integerParam(params, "startTime");
  const endTime = integerParam(params, "endTime");
  const limit = integerParam(params, "limit") ?? limitDefault;
  if (limit < 1) throw new ApiRefusal(-1130, "Data sent for parameter 'limit' is not valid.");
  // Bars shifted by a time zone are not simulated; the default in any spelling is.
  if (!/^([+-]?0{1,2}(:00)?)?$/.test(params.get("timeZone") ?? "")) {
    throw new ApiRefusal(-1130, "Data sent for parameter 'timeZone' is not valid.");
  }
  const name = intervalNames.find((known) => known === intervalName);
  if (name === undefined) throw new ApiRefusal(-1120, "Invalid interval.");
  if (!state.market.knows(symbol)) throw new ApiRefusal(-1121, "Invalid symbol.");
  const interval = Interval.of(name);
  return pageText(state.market.series(symbol, interval, state.showsOpen), {
    interval,
    startMs: startTime === undefined ? earliestMs : clamp(Math.ceil(inMs(startTime)), state),
    endMs: endTime === undefined ? state.nowMs : clamp(Math.floor(inMs(endTime)), state),
    limit: Math.min(limit, limitMax),
    isFromEnd: startTime === undefined,
    nowMs: state.nowMs,
    unit: state.unit,
    gapsEvery: state.gapsEvery,
  });
}

function answerExchangeInfo(params: URLSearchParams, state: ApiState): string {
  refuseDuplicates(params);
  refuseUnknown(params, exchangeInfoParams);
  const named = namedSymbols(params);
  const status = params.get("symbolStatus");
  if (status !== null && !["TRADING", "HALT", "BREAK"].includes(status)) {
    throw new ApiRefusal(-1122, "Invalid symbolStatus.");
  }
  if (status !== null && named !== undefined) {
    throw new ApiRefusal(-1128, "Combination of optional parameters invalid.");
  }
  const symbols = named ?? (status === null || status === "TRADING" ? state.market.symbols : []);
  if (!symbols.every((symbol) => state.market.knows(symbol))) {
    throw new ApiRefusal(-1121, "Invalid symbol.");
  }
  return JSON.stringify({
    timezone: "UTC",
    serverTime: state.nowMs * state.unit,
    rateLimits: [
      {
        rateLimitType: "REQUEST_WEIGHT",
        interval: "MINUTE",
        intervalNum: 1,
        limit: state.weightPerMinute,
      },
      { rateLimitType: "RAW_REQUESTS", interval: "MINUTE", intervalNum: 5, limit: 61_000 },
    ],
    exchangeFilters: [],
    symbols: symbols.map(symbolInfo),
  });
}

function namedSymbols(params: URLSearchParams): readonly string[] | undefined {
  const one = params.get("symbol");
  const many = params.get("symbols");
  if (one !== null && many !== null) {
    throw new ApiRefusal(-1128, "Combination of optional parameters invalid.");
  }
  if (one !== null) {
    if (!symbolPattern.test(one)) throw illegal("symbol", symbolText);
    return [one];
  }
  return many === null ? undefined : symbolList(many);
}

function symbolList(text: string): readonly string[] {
  try {
    const list: unknown = JSON.parse(text);
    if (Array.isArray(list)) {
      const names = list.filter((name) => typeof name === "string" && symbolPattern.test(name));
      if (names.length === list.length) return names.map(String);
    }
  } catch {
    // Not JSON is as illegal as JSON of another shape.
  }
  throw illegal("symbols", symbolsText);
}

function symbolInfo(symbol: string): object {
  const quoteAsset = quoteAssets.find((asset) => symbol.endsWith(asset)) ?? symbol.slice(-3);
  return {
    symbol,
    status: "TRADING",
    baseAsset: symbol.slice(0, symbol.length - quoteAsset.length),
    baseAssetPrecision: 8,
    quoteAsset,
    quotePrecision: 8,
    quoteAssetPrecision: 8,
    isSpotTradingAllowed: true,
    isMarginTradingAllowed: false,
    filters: [],
    permissions: [],
    permissionSets: [["SPOT"]],
  };
}

function refuseParams(params: URLSearchParams): void {
  if (params.size === 0) return;
  throw new ApiRefusal(-1101, `Too many parameters; expected '0' and received '${params.size}'.`);
}

function refuseDuplicates(params: URLSearchParams): void {
  if (new Set(params.keys()).size === params.size) return;
  throw new ApiRefusal(-1101, "Duplicate values for a parameter detected.");
}

function refuseUnknown(params: URLSearchParams, known: readonly string[]): void {
  const read = [...params.keys()].filter((name) => known.includes(name)).length;
  if (read === params.size) return;
  throw new ApiRefusal(
    -1104,
    `Not all sent parameters were read; read '${read}' parameter(s) but was sent '${params.size}'.`,
  );
}

function mandatory(params: URLSearchParams, name: string): string {
  const value = params.get(name);
  if (value !== null && value !== "") return value;
  throw new ApiRefusal(
    -1102,
    `Mandatory parameter '${name}' was not sent, was empty/null, or malformed.`,
  );
}

function integerParam(params: URLSearchParams, name: string): number | undefined {
  const value = params.get(name);
  if (value === null) return undefined;
  if (value === "") throw new ApiRefusal(-1105, `Parameter '${name}' was empty.`);
  if (!/^\d{1,20}$/.test(value)) throw illegal(name, "^[0-9]{1,20}$");
  return Number(value);
}

function illegal(name: string, range: string): ApiRefusal {
  return new ApiRefusal(
    -1100,
    `Illegal characters found in parameter '${name}'; legal range is '${range}'.`,
  );
}

/** ms of a bound in ms or µs. */
function inMs(time: number): number {
  return time >= microsecondsMin ? time / 1_000 : time;
}

function clamp(timeMs: number, state: ApiState): number {
  return Math.min(Math.max(timeMs, earliestMs), Math.max(earliestMs, state.nowMs + 1));
}
