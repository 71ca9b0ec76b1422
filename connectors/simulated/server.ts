import { type Server } from "bun";
import { type Clock, QmtlError, systemClock } from "../../runtime/index.ts";
import { ApiRefusal, type ApiState, endpoints } from "./api.ts";
import { parseSimulatorConfig, type SimulatorConfig, type SimulatorSettings } from "./config.ts";
import { type ActiveFault, type AnswerFaultKind, FaultSchedule, parseFaults } from "./faults.ts";
import { generatedMarket } from "./market/generator.ts";
import { type Market, type TimeUnit } from "./market/market.ts";
import { loadRecordedMarket } from "./market/recorded.ts";
import { WeightCounter } from "./weight-counter.ts";

/** Requests that are remembered; older ones are dropped. */
const logMax = 100_000;
const gzipBytesMin = 1_024;
const htmlBlock =
  "<!DOCTYPE HTML>\n<HTML><HEAD><TITLE>ERROR: The request could not be satisfied</TITLE></HEAD><BODY><H1>{status} ERROR</H1>Request blocked.</BODY></HTML>";
const restrictedText =
  "Service unavailable from a restricted location according to 'b. Eligibility' in https://www.binance.com/en/terms. Please contact customer service if you believe you received this message in error.";

const internalText = "Internal error; unable to process your request. Please try again.";
const htmlStatusOf: Partial<Record<AnswerFaultKind, number>> = {
  "502": 502,
  "403": 403,
  html: 200,
};

/** One request as it came. */
export interface LoggedRequest {
  /** Machine's clock when it came, ms. */
  readonly timeMs: number;
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  /** Status answered; 0 where the fault was no answer. */
  readonly status: number;
}

/** A running simulator. */
export interface ExchangeSimulator {
  /** `http://127.0.0.1:PORT` */
  readonly url: string;
  readonly symbols: readonly string[];
  readonly faults: FaultSchedule;
  /** The last 100,000 requests, oldest first. */
  readonly requests: readonly LoggedRequest[];
  readonly weight: WeightCounter;
  /** The exchange's clock now, ms. */
  serverTimeMs(): number;
  /** Stops the exchange's clock at `timeMs`. */
  setServerTime(timeMs: number): void;
  /** Closes all connections; safe to call twice. */
  close(): Promise<void>;
}

/** Settings, and where the machine's time comes from. */
export interface SimulatorOptions extends SimulatorSettings {
  /** Counts weight by the minute and stamps answers; the machine's clock by default. */
  readonly clock?: Clock;
}

/**
 * An exchange on loopback that answers `/api/v3/klines`, `/time`, `/ping` and `/exchangeInfo` as
 * Binance Spot does, from recorded or generated bars, with the faults that were ordered.
 *
 * @throws QmtlError CONFIG_INVALID, RECORDED_DATA_INVALID, SERVER_START_FAILED if the port is taken.
 */
export async function startExchangeSimulator(
  options: SimulatorOptions,
): Promise<ExchangeSimulator> {
  const { clock = systemClock, ...settings } = options;
  const config = parseSimulatorConfig(settings);
  const { source } = config;
  const market =
    source.kind === "recorded"
      ? await loadRecordedMarket(source.directory, source.files)
      : generatedMarket(source.seed);
  return new Simulator(config, market, clock);
}

class Simulator implements ExchangeSimulator {
  readonly url: string;
  readonly faults: FaultSchedule;
  readonly weight: WeightCounter;
  readonly requests: LoggedRequest[] = [];
  readonly #config: SimulatorConfig;
  readonly #market: Market;
  readonly #clock: Clock;
  readonly #server: Server<undefined>;
  readonly #closing = new AbortController();
  #stoppedTimeMs: number | undefined;

  constructor(config: SimulatorConfig, market: Market, clock: Clock) {
    this.#config = config;
    this.#market = market;
    this.#clock = clock;
    this.#stoppedTimeMs = config.serverTimeMs;
    this.faults = new FaultSchedule(parseFaults(config.faults));
    this.weight = new WeightCounter(config.weightPerMinute, config.banAfter, clock);
    this.#server = serve(config.port, async (request) => await this.#handle(request));
    this.url = `http://127.0.0.1:${this.#server.port}`;
  }

  get symbols(): readonly string[] {
    return this.#market.symbols;
  }

  serverTimeMs(): number {
    return this.#stoppedTimeMs ?? this.#market.serverTimeMs(this.#clock.now());
  }

  setServerTime(timeMs: number): void {
    this.#stoppedTimeMs = timeMs;
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#server.stop(true);
  }

  async #handle(request: Request): Promise<Response> {
    const url = new URL(request.url);
    const endpoint = endpoints.get(url.pathname);
    const verdict = this.weight.charge(endpoint?.weight ?? 1);
    let response: Response | undefined;
    if (verdict.kind !== "ok") {
      response = this.#refuse(verdict.kind, verdict.retryAfterSeconds);
    } else {
      const fault = this.faults.take(url.pathname);
      const early = fault === undefined ? undefined : this.#faultAnswer(fault);
      response = early === "silence" ? undefined : (early ?? this.#answer(request, url, fault));
    }
    this.#log(url, response?.status ?? 0);
    return response ?? (await this.#silence(request));
  }

  /** Answers as the exchange would, spoilt by `fault` where that is one of the body. */
  #answer(request: Request, url: URL, fault: ActiveFault | undefined): Response {
    const endpoint = endpoints.get(url.pathname);
    if (endpoint === undefined) return this.#unknownPath(request);
    if (request.method !== "GET") return this.#respond("", 405, { allow: "GET" });
    const asked = request.headers.get("x-mbx-time-unit")?.toLowerCase();
    const unit: TimeUnit = asked === "microsecond" || fault?.kind === "us" ? 1_000 : 1;
    const state: ApiState = {
      market: this.#market,
      nowMs: this.serverTimeMs(),
      unit,
      gapsEvery: this.faults.gapsEvery,
      showsOpen: this.faults.showsOpen,
      weightPerMinute: this.#config.weightPerMinute,
    };
    try {
      const body = endpoint.answer(url.searchParams, state);
      return this.#respondBody(request, body, fault);
    } catch (error) {
      if (!(error instanceof ApiRefusal)) throw error;
      return this.#respondJson({ code: error.code, msg: error.message }, 400);
    }
  }

  #respondBody(request: Request, body: string, fault: ActiveFault | undefined): Response {
    if (fault?.kind === "malformed") return this.#respond(spoil(body), 200);
    if (fault?.kind === "cut" || fault?.kind === "stall-body") {
      const half = new TextEncoder().encode(body.slice(0, Math.ceil(body.length / 2)));
      return this.#respond(fault.kind === "cut" ? thenCut(half) : thenSilence(half), 200);
    }
    const isZipped =
      body.length >= gzipBytesMin && /\bgzip\b/.test(request.headers.get("accept-encoding") ?? "");
    if (!isZipped) return this.#respond(body, 200);
    const zipped = Bun.gzipSync(body, { library: "libdeflate", level: 1 });
    return this.#respond(zipped, 200, { "content-encoding": "gzip" });
  }

  /** The whole answer of a fault; undefined where the fault is in the body of a good one. */
  #faultAnswer({ kind, retryAfterSeconds }: ActiveFault): Response | "silence" | undefined {
    if (kind === "stall") return "silence";
    if (kind === "429") return this.#stop("limited", retryAfterSeconds ?? 10);
    if (kind === "418") return this.#stop("banned", retryAfterSeconds ?? 120);
    if (kind === "451") return this.#respondJson({ code: 0, msg: restrictedText }, 451);
    if (kind === "500") return this.#respondJson({ code: -1001, msg: internalText }, 500);
    const htmlStatus = htmlStatusOf[kind];
    return htmlStatus === undefined ? undefined : this.#html(htmlStatus);
  }

  #stop(kind: "limited" | "banned", seconds: number): Response {
    this.weight.stop(kind, seconds);
    return this.#refuse(kind, seconds);
  }

  #refuse(kind: "limited" | "banned", seconds: number): Response {
    const isBanned = kind === "banned";
    const msg = isBanned
      ? `Way too much request weight used; IP banned until ${this.#clock.now() + seconds * 1_000}. Please use WebSocket Streams for live updates to avoid bans.`
      : `Too much request weight used; current limit is ${this.#config.weightPerMinute} request weight per 1 MINUTE. Please use WebSocket Streams for live updates to avoid polling the API.`;
    const headers = { "retry-after": String(seconds) };
    return this.#respondJson({ code: -1003, msg }, isBanned ? 418 : 429, headers);
  }

  #unknownPath(request: Request): Response {
    const wantsHtml = request.headers.get("accept")?.includes("text/html") ?? false;
    return wantsHtml ? this.#html(404) : this.#respond("", 404);
  }

  #respondJson(body: object, status: number, headers: Record<string, string> = {}): Response {
    return this.#respond(JSON.stringify(body), status, headers);
  }

  #respond(
    body: string | Uint8Array<ArrayBuffer> | ReadableStream,
    status: number,
    headers: Record<string, string> = {},
  ): Response {
    const used = String(this.weight.used);
    return new Response(body, {
      status,
      headers: {
        "content-type": "application/json;charset=UTF-8",
        date: new Date(this.#clock.now()).toUTCString(),
        server: "nginx",
        "x-mbx-uuid": crypto.randomUUID(),
        "x-mbx-used-weight": used,
        "x-mbx-used-weight-1m": used,
        "cache-control": "no-cache, no-store, must-revalidate",
        pragma: "no-cache",
        expires: "0",
        "access-control-allow-origin": "*",
        ...headers,
      },
    });
  }

  /** A page of the servers in front of the exchange: no headers of its own. */
  #html(status: number): Response {
    return new Response(htmlBlock.replace("{status}", String(status)), {
      status,
      headers: {
        "content-type": "text/html",
        date: new Date(this.#clock.now()).toUTCString(),
        server: "CloudFront",
      },
    });
  }

  /** No answer until the other side leaves or the simulator closes. */
  async #silence(request: Request): Promise<Response> {
    const either = AbortSignal.any([request.signal, this.#closing.signal]);
    if (!either.aborted) {
      await new Promise<void>((resolve) => {
        either.addEventListener("abort", () => resolve(), { once: true });
      });
    }
    return new Response(null, { status: 503 });
  }

  #log(url: URL, status: number): void {
    if (this.requests.length === logMax) this.requests.shift();
    const query = Object.fromEntries(url.searchParams);
    this.requests.push({ timeMs: this.#clock.now(), path: url.pathname, query, status });
  }
}

function serve(port: number, handle: (request: Request) => Promise<Response>): Server<undefined> {
  try {
    // idleTimeout 0: the stall fault must outlast the 10 s after which Bun closes by default.
    return Bun.serve({ hostname: "127.0.0.1", port, idleTimeout: 0, fetch: handle });
  } catch (cause) {
    throw new QmtlError(
      "SERVER_START_FAILED",
      `Cannot start the simulator: port ${port} of 127.0.0.1 is not free, wanted one that is`,
      { port },
      cause,
    );
  }
}

/** The body with one element of its first row broken: a close that is not a number. */
function spoil(body: string): string {
  return body.replace(/("[^"]*",){4}/, (start) => start.replace(/"[^"]*",$/, '"n/a",'));
}

function thenCut(bytes: Uint8Array): ReadableStream {
  return new ReadableStream({
    async pull(controller) {
      controller.enqueue(bytes);
      // The first bytes have to be on their way before the connection ends.
      await Bun.sleep(5);
      // Without a reason, for which Bun would print a stack.
      controller.error();
    },
  });
}

function thenSilence(bytes: Uint8Array): ReadableStream {
  return new ReadableStream({ start: (controller) => controller.enqueue(bytes) });
}
