import { type Details, errorText, QmtlError } from "../../runtime/index.ts";

/** An HTTP answer, read to its end. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

/** What was asked, for messages: `GET /api/v3/time of data-api.binance.vision`. */
export interface Subject {
  readonly path: string;
  readonly host: string;
}

/** Why no byte came: the first four and `reset` mean that the exchange cannot be reached. */
export type SilenceCause = "dns" | "connect" | "tls" | "stall" | "reset";

/** Retry-After where the exchange gives none: 429 until the next minute, a ban's shortest is 2. */
const stopMsDefault = { rateLimited: 60_000, banned: 120_000 } as const;

/**
 * The error that an answer stands for, undefined for 200. The body is only read as JSON where it
 * is: blocks (403, 451) and broken gateways answer with pages of HTML.
 */
export function faultOfAnswer(
  answer: Answer,
  subject: Subject,
  nowMs: number,
): QmtlError | undefined {
  const { status } = answer;
  if (status === 200) return undefined;
  const { code, msg } = payloadOf(answer.text);
  const said = msg === undefined ? `HTTP ${status}` : `HTTP ${status} with code ${code}, "${msg}"`;
  const details = { status, ...(code === undefined ? {} : { exchangeCode: code }) };
  if (status === 429) {
    const retryAfterMs = retryAfterOf(answer, nowMs) ?? stopMsDefault.rateLimited;
    return new QmtlError(
      "EXCHANGE_RATE_LIMITED",
      `Cannot ask ${subject.host} now: it answered ${said}, wanted no request for ${seconds(retryAfterMs)}`,
      { ...details, retryAfterMs },
    );
  }
  if (status === 418) {
    const retryAfterMs = retryAfterOf(answer, nowMs) ?? stopMsDefault.banned;
    return new QmtlError(
      "EXCHANGE_BANNED",
      `Cannot ask ${subject.host} now: this address is banned for ${seconds(retryAfterMs)} (${said})`,
      { ...details, retryAfterMs },
    );
  }
  if (status === 451 || status === 403) return restricted(subject, said, details);
  if (status >= 500) {
    return new QmtlError(
      "EXCHANGE_UNAVAILABLE",
      `Cannot read ${subject.path} of ${subject.host}: it answered ${said}, wanted 200`,
      details,
    );
  }
  return rejected(subject, said, details);
}

function restricted(subject: Subject, said: string, details: Details): QmtlError {
  const why =
    details["status"] === 451
      ? "it does not serve this location"
      : "its security filter blocks this address";
  return new QmtlError(
    "EXCHANGE_RESTRICTED",
    `Cannot use the exchange at ${subject.host}: ${why} (${said}), wanted HTTP 200`,
    details,
  );
}

function rejected(subject: Subject, said: string, details: Details): QmtlError {
  const code = details["exchangeCode"];
  if (code === -1121) {
    return new QmtlError(
      "SYMBOL_UNKNOWN",
      `Cannot find the symbol at ${subject.host}: it answered ${said}`,
      details,
    );
  }
  if (code === -1100 && said.includes("'symbol")) {
    return new QmtlError(
      "SYMBOL_INVALID",
      `Cannot use the symbol: ${subject.host} answered ${said}`,
      details,
    );
  }
  return new QmtlError(
    "EXCHANGE_REJECTED",
    `Cannot read ${subject.path} of ${subject.host}: it answered ${said}, wanted 200`,
    details,
  );
}

/** `{"code": -1121, "msg": "…"}`, where the body is that. */
function payloadOf(text: string): { code: number | undefined; msg: string | undefined } {
  const none = { code: undefined, msg: undefined };
  if (!text.startsWith("{")) return none;
  try {
    const body: unknown = JSON.parse(text);
    if (typeof body !== "object" || body === null) return none;
    const code = "code" in body && typeof body.code === "number" ? body.code : undefined;
    const msg = "msg" in body && typeof body.msg === "string" ? body.msg.slice(0, 300) : undefined;
    return { code, msg };
  } catch {
    // Not JSON after all: the status alone has to do.
    return none;
  }
}

/** How long to keep silent: the header in seconds, else "banned until <ms>" of the message. */
function retryAfterOf(answer: Answer, nowMs: number): number | undefined {
  const header = answer.headers.get("retry-after");
  if (header !== null && /^\d{1,9}$/.test(header)) return Math.max(1, Number(header)) * 1_000;
  const until = /banned until (\d{13})\b/.exec(answer.text)?.[1];
  return until === undefined ? undefined : Math.max(1_000, Number(until) - nowMs);
}

const dnsCodes: ReadonlySet<string> = new Set(["ENOTFOUND", "EAI_AGAIN", "EAI_FAIL", "EAI_NODATA"]);
const connectCodes: ReadonlySet<string> = new Set([
  "ECONNREFUSED",
  "ConnectionRefused",
  "FailedToOpenSocket",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "EADDRNOTAVAIL",
  "ETIMEDOUT",
  "EACCES",
]);
const tlsPattern = /^(EPROTO|ERR_TLS_|ERR_SSL_|CERT_|UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO)|_CERT/;

const silenceText: Readonly<Record<SilenceCause, string>> = {
  dns: "its name has no address",
  connect: "it does not accept connections",
  tls: "the TLS handshake failed",
  stall: "no byte came",
  reset: "the connection was cut before an answer",
};

/**
 * The error that a failed exchange of bytes stands for. `hasHeaders` says that an answer had
 * begun: then the exchange is there, and only this answer was cut.
 */
export function faultOfNetwork(error: unknown, subject: Subject, hasHeaders: boolean): QmtlError {
  const code = codeOf(error);
  if (hasHeaders) {
    return new QmtlError(
      "EXCHANGE_UNAVAILABLE",
      `Cannot read ${subject.path} of ${subject.host}: the answer was cut (${code}), wanted all of it`,
      {},
      error,
    );
  }
  const cause = silenceCauseOf(code);
  return unreachable(subject, cause, code, error);
}

/** `silenceMs` without a byte. */
export function faultOfSilence(subject: Subject, silenceMs: number): QmtlError {
  return unreachable(subject, "stall", `within ${seconds(silenceMs)}`, undefined);
}

function unreachable(
  subject: Subject,
  cause: SilenceCause,
  found: string,
  error: unknown,
): QmtlError {
  return new QmtlError(
    "EXCHANGE_UNREACHABLE",
    `Cannot reach the exchange at ${subject.host}: ${silenceText[cause]} (${found}), wanted an answer`,
    { cause },
    error,
  );
}

function silenceCauseOf(code: string): SilenceCause {
  if (dnsCodes.has(code)) return "dns";
  if (connectCodes.has(code)) return "connect";
  return tlsPattern.test(code) ? "tls" : "reset";
}

function codeOf(error: unknown): string {
  const hasCode = error instanceof Error && "code" in error && typeof error.code === "string";
  return hasCode ? String(error.code) : errorText(error);
}

function seconds(ms: number): string {
  return `${ms / 1_000} s`;
}
