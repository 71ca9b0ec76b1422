import {
  type Clock,
  type Exchange,
  type FetchEstimate,
  hasCode,
  type KlinePage,
  type KlineRequest,
  QmtlError,
  sliceColumns,
} from "../../runtime/index.ts";
import { type BinanceConfig } from "./config.ts";
import { millisecondsOf, parseKlines, settle } from "./kline-page.ts";
import { RestClient } from "./rest-client.ts";
import { checkSymbolText, exchangeInfoOf } from "./symbols.ts";
import { WeightGovernor } from "./weight-governor.ts";

/** What the exchange charges for a request. */
const weightOf = { time: 1, klines: 2, exchangeInfo: 20 } as const;
/** Symbols of one exchangeInfo request: the address stays under 2 kB. */
const symbolsPerRequest = 100;

/** What makes one `Exchange` differ from another beside its settings. */
export interface SourceIdentity {
  readonly name: string;
  readonly isSimulated: boolean;
  readonly clock: Clock;
  readonly seed: number;
  readonly onNotice: (line: string) => void;
}

/**
 * Binance Spot market data over REST, or anything that speaks like it. All callers of one object
 * share its governor; see there.
 *
 *   B1  Bars that `klines` returns closed before a server time that was read before the page was
 *       asked for. That time is kept, and read again only when a page could reach beyond it.
 *   B2  A request that could only meet bars that are not closed is not sent.
 */
export class BinanceSource implements Exchange {
  readonly name: string;
  readonly isSimulated: boolean;
  readonly #config: BinanceConfig;
  readonly #governor: WeightGovernor;
  readonly #rest: RestClient;
  readonly #closed = new AbortController();
  /** 0 before the first answer: nothing has closed by then. */
  #serverTimeMs = 0;

  constructor(config: BinanceConfig, identity: SourceIdentity) {
    const { clock, onNotice, seed } = identity;
    this.name = identity.name;
    this.isSimulated = identity.isSimulated;
    this.#config = config;
    this.#governor = new WeightGovernor(config, clock);
    const governor = this.#governor;
    this.#rest = new RestClient({ config, governor, clock, chance: chanceOf(seed), onNotice });
  }

  async serverTime(signal: AbortSignal): Promise<number> {
    const timeMs = await this.#rest.get(
      { path: "/api/v3/time", query: {}, weight: weightOf.time, decode: decodeTime },
      this.#until(signal),
    );
    this.#serverTimeMs = timeMs;
    return timeMs;
  }

  /**
   * @throws QmtlError SYMBOL_INVALID before any request if a symbol cannot be one; SYMBOL_UNKNOWN
   *   naming each symbol the exchange does not have. Its answer names none, so a refused list is
   *   halved until each is found: 20 weight a step.
   */
  async checkSymbols(symbols: readonly string[], signal: AbortSignal): Promise<void> {
    const all = [...new Set(symbols)];
    for (const symbol of all) checkSymbolText(symbol);
    const unknown: string[] = [];
    for (let at = 0; at < all.length; at += symbolsPerRequest) {
      unknown.push(...(await this.#unknownOf(all.slice(at, at + symbolsPerRequest), signal)));
    }
    if (unknown.length === 0) return;
    const names = unknown.map((symbol) => `"${symbol}"`).join(", ");
    throw new QmtlError(
      "SYMBOL_UNKNOWN",
      `Cannot read ${names}: ${this.name} does not know ${unknown.length === 1 ? "it" : "them"}, wanted symbols it lists such as "BTCUSDT"`,
      { symbols: unknown.join(",") },
    );
  }

  async klines(request: KlineRequest, signal: AbortSignal): Promise<KlinePage> {
    const { symbol, interval, range } = request;
    checkSymbolText(symbol);
    if (!(range.start < range.end)) {
      throw new RangeError(
        `Cannot ask for bars: the range is [${range.start}, ${range.end}), wanted start < end`,
      );
    }
    const limit = this.#config.pageRowsMax;
    const reachMs = interval.openOf(interval.indexOf(range.start) + limit + 1);
    if (Math.min(range.end, reachMs) > interval.floor(this.#serverTimeMs)) {
      await this.serverTime(signal);
    }
    const serverTimeMs = this.#serverTimeMs;
    const isOpenYet = interval.closeOf(interval.ceil(range.start)) > serverTimeMs;
    const rows = isOpenYet
      ? parseKlines([], range)
      : await this.#rest.get(
          {
            path: "/api/v3/klines",
            query: {
              symbol,
              interval: interval.name,
              startTime: range.start,
              endTime: range.end - 1,
              limit,
            },
            weight: weightOf.klines,
            decode: (body) => parseKlines(body, range),
          },
          this.#until(signal),
        );
    const { lateMsMax } = this.#config;
    const isFull = rows.count >= limit;
    const { count, end } = settle(rows, { interval, range, isFull, serverTimeMs, lateMsMax });
    return {
      rows: sliceColumns(rows, 0, count),
      settled: { start: range.start, end },
      serverTimeMs,
    };
  }

  estimate(bars: number): FetchEstimate {
    const requests = Math.ceil(bars / this.#config.pageRowsMax);
    const weight = requests === 0 ? 0 : requests * weightOf.klines + weightOf.time;
    const { budget, remaining, turnMs } = this.#governor;
    const beyond = Math.max(0, weight - remaining);
    const budgetMs = beyond === 0 ? 0 : turnMs + (Math.ceil(beyond / budget) - 1) * 60_000;
    const inFlight = Math.max(1, Math.min(requests, this.#config.requestsInFlightMax));
    const wireMs = (requests * this.#rest.requestMsMean) / inFlight;
    return { requests, weight, seconds: Math.max(budgetMs, wireMs) / 1_000 };
  }

  // oxlint-disable-next-line eslint/require-await -- the port is asynchronous
  async close(): Promise<void> {
    this.#closed.abort(new QmtlError("ABORTED", `Cannot ask ${this.name}: it was closed`));
  }

  async #unknownOf(symbols: readonly string[], signal: AbortSignal): Promise<readonly string[]> {
    try {
      const info = await this.#rest.get(
        {
          path: "/api/v3/exchangeInfo",
          query: { symbols: JSON.stringify(symbols), showPermissionSets: "false" },
          weight: weightOf.exchangeInfo,
          decode: exchangeInfoOf,
        },
        this.#until(signal),
      );
      if (info.weightPerMinute !== undefined) this.#governor.setLimit(info.weightPerMinute);
      return symbols.filter((symbol) => !info.symbols.has(symbol));
    } catch (error) {
      if (!hasCode(error, "SYMBOL_UNKNOWN")) throw error;
      if (symbols.length === 1) return symbols;
      const middle = symbols.length >> 1;
      const left = await this.#unknownOf(symbols.slice(0, middle), signal);
      return [...left, ...(await this.#unknownOf(symbols.slice(middle), signal))];
    }
  }

  #until(signal: AbortSignal): AbortSignal {
    return AbortSignal.any([signal, this.#closed.signal]);
  }
}

function decodeTime(body: unknown): number {
  if (typeof body === "object" && body !== null && "serverTime" in body) {
    const { serverTime } = body;
    if (typeof serverTime === "number" && Number.isSafeInteger(serverTime) && serverTime > 0) {
      return millisecondsOf(serverTime);
    }
  }
  throw new QmtlError(
    "EXCHANGE_RESPONSE_INVALID",
    `Cannot read the server time: found ${JSON.stringify(body)?.slice(0, 80)}, wanted {"serverTime": ms}`,
  );
}

/** Numbers in [0, 1) from a seed (mulberry32): enough to spread retries, and the same each time. */
function chanceOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
