import { type Clock, hasCode, QmtlError, reasonOf, retryOf } from "../../runtime/index.ts";
import {
  type Answer,
  faultOfAnswer,
  faultOfNetwork,
  faultOfSilence,
  type Subject,
} from "./answer-fault.ts";
import { type BinanceConfig } from "./config.ts";
import { noNews, type WeightGovernor, type WeightNews } from "./weight-governor.ts";

/** One GET; `decode` throws EXCHANGE_RESPONSE_INVALID for a body that is not what was asked for. */
export interface RestRequest<T> {
  /** `/api/v3/time` */
  readonly path: string;
  readonly query: Readonly<Record<string, string | number>>;
  /** What the exchange charges for it. */
  readonly weight: number;
  readonly decode: (body: unknown) => T;
}

/** What the client is made of, so that tests own time and chance. */
export interface RestParts {
  readonly config: BinanceConfig;
  readonly governor: WeightGovernor;
  readonly clock: Clock;
  /** Number in [0, 1), from a seed: spreads the retries of many clients. */
  readonly chance: () => number;
  /** One line for the operator when all requests have to wait. */
  readonly onNotice: (line: string) => void;
}

/** Share of a new request's time in the running mean. */
const meanShare = 0.2;

/**
 * GET with everything around it: budget, back-off, bounded tries, answers read byte by byte.
 *
 *   R1  A request is tried at most `tryCountMax` times, and only after faults that may pass:
 *       network, 5xx, a cut or malformed body, 429 and 418 (which stop all requests until then).
 *   R2  Before the first answer of the exchange, what says that it cannot be reached is thrown at
 *       once: the caller may have another source and a person is waiting. Later it is retried.
 *   R3  A security block (403) in the middle of a run stops all requests for `blockedMs` once; a
 *       second one, or one at the start, is thrown. A restricted location (451) is never retried.
 */
export class RestClient {
  readonly #parts: RestParts;
  readonly #host: string;
  #wasReached = false;
  #requestMsMean = 100;

  constructor(parts: RestParts) {
    this.#parts = parts;
    this.#host = new URL(parts.config.baseUrl).host;
  }

  /** Running mean of the time of one request, ms; 100 before the first. */
  get requestMsMean(): number {
    return this.#requestMsMean;
  }

  /** @throws QmtlError EXCHANGE_*, SYMBOL_* as `retryOf` says; the signal's reason if it aborts. */
  async get<T>(request: RestRequest<T>, signal: AbortSignal): Promise<T> {
    let blocks = 0;
    for (let tries = 1; ; tries += 1) {
      const outcome = await this.#try(request, signal);
      if (!(outcome instanceof QmtlError)) return outcome.value;
      signal.throwIfAborted();
      if (outcome.code === "EXCHANGE_RESTRICTED") blocks += 1;
      const stopMs = this.#stopMsOf(outcome);
      if (stopMs > 0) this.#parts.governor.stop(this.#parts.clock.now() + stopMs, outcome);
      if (!this.#mayRetry(outcome, tries, blocks)) throw afterTries(outcome, tries);
      // A stop holds this request back in the governor, like all others.
      if (stopMs > 0) this.#tellOfStop(outcome, stopMs);
      else await this.#parts.clock.sleep(this.#backoffMs(tries), signal);
    }
  }

  /** One try: its value, or a fault of the outside world. */
  async #try<T>(request: RestRequest<T>, signal: AbortSignal): Promise<{ value: T } | QmtlError> {
    const { governor, clock } = this.#parts;
    await governor.enter(request.weight, signal);
    let news: WeightNews = noNews;
    try {
      const startMs = clock.now();
      const answer = await this.#ask(request, signal);
      news = newsOf(answer);
      const subject = this.#subjectOf(request);
      const fault = faultOfAnswer(answer, subject, clock.now());
      // Whoever is only blocked or refused by a gateway has not reached the exchange.
      if (fault === undefined || !hasCode(fault, "EXCHANGE_RESTRICTED")) this.#wasReached = true;
      if (fault !== undefined) return fault;
      this.#requestMsMean += meanShare * (clock.now() - startMs - this.#requestMsMean);
      return { value: request.decode(jsonOf(answer, subject)) };
    } catch (error) {
      if (signal.aborted) throw reasonOf(signal);
      if (error instanceof QmtlError) return error;
      throw error;
    } finally {
      governor.leave(request.weight, news);
    }
  }

  #mayRetry(fault: QmtlError, tries: number, blocks: number): boolean {
    if (tries >= this.#parts.config.tryCountMax) return false;
    if (fault.code === "EXCHANGE_RESTRICTED") {
      return this.#wasReached && fault.details["status"] === 403 && blocks === 1;
    }
    if (fault.code === "EXCHANGE_UNREACHABLE" && !this.#wasReached) {
      return fault.details["cause"] === "reset";
    }
    return retryOf[fault.code] === "backoff";
  }

  /** How long `fault` keeps all requests back, ms. */
  #stopMsOf(fault: QmtlError): number {
    const told = fault.details["retryAfterMs"];
    if (typeof told === "number") return told;
    const isBlocked = fault.details["status"] === 403 && this.#wasReached;
    return isBlocked ? this.#parts.config.blockedMs : 0;
  }

  #tellOfStop(fault: QmtlError, stopMs: number): void {
    const { config, onNotice } = this.#parts;
    if (stopMs > config.stopMsMax) return;
    onNotice(`${fault.message}; all requests wait for ${Math.ceil(stopMs / 1_000)} s`);
  }

  /** Full jitter: anything up to base · 2^(tries − 1), so that clients do not come back together. */
  #backoffMs(tries: number): number {
    const { config, chance } = this.#parts;
    const ms = Math.min(config.backoffMsMax, config.backoffMsBase * 2 ** (tries - 1));
    return Math.ceil(chance() * ms);
  }

  #subjectOf(request: { readonly path: string }): Subject {
    return { path: request.path, host: this.#host };
  }

  /** @throws QmtlError EXCHANGE_UNREACHABLE, EXCHANGE_UNAVAILABLE, EXCHANGE_RESPONSE_INVALID. */
  async #ask<T>(request: RestRequest<T>, signal: AbortSignal): Promise<Answer> {
    const { silenceMsMax, answerBytesMax, baseUrl } = this.#parts.config;
    const subject = this.#subjectOf(request);
    const watchdog = new Watchdog(silenceMsMax, signal);
    let hasHeaders = false;
    try {
      const response = await fetch(`${baseUrl.replace(/\/+$/, "")}${pathOf(request)}`, {
        signal: watchdog.signal,
        redirect: "manual",
        headers: { accept: "application/json" },
      });
      hasHeaders = true;
      const text = await readText(response, { watchdog, answerBytesMax, subject });
      return { status: response.status, headers: response.headers, text };
    } catch (error) {
      if (error instanceof QmtlError) throw error;
      if (watchdog.isExpired) throw faultOfSilence(subject, silenceMsMax);
      throw faultOfNetwork(error, subject, hasHeaders);
    } finally {
      watchdog.stop();
    }
  }
}

/**
 * Aborts a request when no byte came for a while. It runs on the machine's own timer and not on
 * `Clock`: bytes come in real time, and a test that skips an hour of back-off must not cut them.
 */
class Watchdog {
  readonly signal: AbortSignal;
  readonly #expired = new AbortController();
  readonly #silenceMs: number;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(silenceMs: number, signal: AbortSignal) {
    this.#silenceMs = silenceMs;
    this.signal = AbortSignal.any([signal, this.#expired.signal]);
    this.feed();
  }

  get isExpired(): boolean {
    return this.#expired.signal.aborted;
  }

  /** A byte came. */
  feed(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#expired.abort(), this.#silenceMs);
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}

interface ReadLimits {
  readonly watchdog: Watchdog;
  readonly answerBytesMax: number;
  readonly subject: Subject;
}

async function readText(response: Response, limits: ReadLimits): Promise<string> {
  limits.watchdog.feed();
  if (response.body === null) return "";
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  // Leaving the loop by an error cancels the rest of the body.
  const body: AsyncIterable<Uint8Array> = response.body;
  for await (const piece of body) {
    limits.watchdog.feed();
    bytes += piece.byteLength;
    if (bytes > limits.answerBytesMax) {
      throw invalid(limits.subject, `it has more than ${limits.answerBytesMax} bytes`, "fewer");
    }
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString("utf8");
}

function pathOf(request: {
  readonly path: string;
  readonly query: Readonly<Record<string, string | number>>;
}): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(request.query)) query.set(name, String(value));
  return query.size === 0 ? request.path : `${request.path}?${query.toString()}`;
}

function newsOf(answer: Answer): WeightNews {
  const used = answer.headers.get("x-mbx-used-weight-1m");
  const date = Date.parse(answer.headers.get("date") ?? "");
  return {
    usedWeight: used !== null && /^\d{1,9}$/.test(used) ? Number(used) : undefined,
    dateMs: Number.isFinite(date) ? date : undefined,
  };
}

function jsonOf(answer: Answer, subject: Subject): unknown {
  try {
    return JSON.parse(answer.text) as unknown;
  } catch (cause) {
    const start = answer.text.slice(0, 40).replaceAll(/\s+/g, " ");
    throw invalid(subject, `it begins with ${JSON.stringify(start)}`, "JSON", cause);
  }
}

function invalid(subject: Subject, found: string, wanted: string, cause?: unknown): QmtlError {
  return new QmtlError(
    "EXCHANGE_RESPONSE_INVALID",
    `Cannot read the answer to ${subject.path} of ${subject.host}: ${found}, wanted ${wanted}`,
    {},
    cause,
  );
}

function afterTries(fault: QmtlError, tries: number): QmtlError {
  if (tries === 1) return fault;
  const message = `${fault.message} (tried ${tries} times)`;
  return new QmtlError(fault.code, message, { ...fault.details, tries }, fault.cause);
}
