/** Every code, and what the caller does next. */
export const retryOf = {
  // What the user wrote
  CONFIG_INVALID: "never",
  ARGUMENT_INVALID: "never",
  INTERVAL_INVALID: "never",
  INTERVAL_NOT_A_MULTIPLE: "never",
  PERIOD_INVALID: "never",
  SCHEMA_INVALID: "never",
  STRATEGY_INVALID: "never",
  GRAPH_INVALID: "never",
  JOIN_KEYS_MISMATCH: "never",
  LOOKBACK_EXCEEDED: "never",
  FIELD_UNKNOWN: "never",
  NODE_DUPLICATE: "never",
  PUBLISH_TOPIC_SHARED: "never",
  SETUP_NOT_DETERMINISTIC: "never",
  // Code identity: each refusal by name
  CODE_SOURCE_NOT_FOUND: "never",
  CODE_CAPTURED_VARIABLE: "never",
  CODE_USES_THIS: "never",
  CODE_MUTABLE_OUTER: "never",
  CODE_COMPUTED_CONSTANT: "never",
  CODE_IMPURE_GLOBAL: "never",
  CODE_ASYNC: "never",
  CODE_AMBIGUOUS: "never",
  CODE_UNSUPPORTED: "never",
  // What a compute function did
  COMPUTE_FAILED: "never",
  OUTPUT_INVALID: "never",
  INPUT_MISSING: "never",
  NODE_QUARANTINED: "never",
  // The exchange
  EXCHANGE_UNREACHABLE: "backoff",
  EXCHANGE_RESTRICTED: "never",
  EXCHANGE_RATE_LIMITED: "backoff",
  EXCHANGE_BANNED: "backoff",
  EXCHANGE_REJECTED: "never",
  EXCHANGE_RESPONSE_INVALID: "backoff",
  EXCHANGE_UNAVAILABLE: "backoff",
  SYMBOL_INVALID: "never",
  SYMBOL_UNKNOWN: "never",
  RANGE_INVALID: "never",
  RANGE_IN_FUTURE: "never",
  RECORDED_DATA_INVALID: "never",
  // Stores
  STORE_LOCKED: "never",
  STORE_READ_ONLY: "never",
  STORE_CORRUPT: "never",
  STORE_FULL: "never",
  STORE_VERSION_UNKNOWN: "never",
  STORE_UNAVAILABLE: "backoff",
  STORE_REJECTED: "never",
  STORE_CLOSED: "never",
  STORE_AUTH_FAILED: "never",
  HISTORY_INCOMPLETE: "never",
  CHECKPOINT_FENCED: "never",
  CHECKPOINT_GAP: "reconnect",
  CHECKPOINT_PLAN_CHANGED: "never",
  CHECKPOINT_CORRUPT: "never",
  // Transports and codecs
  TRANSPORT_UNAVAILABLE: "reconnect",
  TRANSPORT_REJECTED: "never",
  TRANSPORT_CLOSED: "never",
  TRANSPORT_AUTH_FAILED: "never",
  TOPIC_UNKNOWN: "never",
  TOPIC_PARTITIONS_MISMATCH: "never",
  OFFSET_OUT_OF_RANGE: "never",
  MESSAGE_TOO_LARGE: "never",
  BATCH_CORRUPT: "reconnect",
  CODEC_UNSUPPORTED: "never",
  RECORD_INVALID: "never",
  // Sinks
  SINK_OVERLOADED: "backoff",
  SINK_REJECTED: "never",
  // Workers and servers
  WORKER_FAILED: "backoff",
  WORKER_STALLED: "backoff",
  SERVER_START_FAILED: "never",
  ABORTED: "never",
} as const satisfies Record<string, "never" | "reconnect" | "backoff">;

/** A code of `retryOf`. */
export type ErrorCode = keyof typeof retryOf;

/** Plain data: an error crosses threads unchanged. */
export type Details = Readonly<Record<string, string | number | boolean>>;

/**
 * A failure of the outside world or of what the user wrote; `retryOf[code]` says what the caller
 * does next. The message reads `Cannot <action>: <what was found>, <what was wanted>`.
 */
export class QmtlError extends Error {
  override readonly name = "QmtlError";
  readonly code: ErrorCode;
  readonly details: Details;

  constructor(code: ErrorCode, message: string, details: Details = {}, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.details = details;
  }
}

/** An error as it crosses a thread: `structuredClone` keeps all of it. */
export interface ErrorData {
  readonly code: ErrorCode | undefined;
  readonly message: string;
  readonly details: Details;
}

/** What of `error` crosses a thread; anything that is not a `QmtlError` has no code. */
export function toErrorData(error: unknown): ErrorData {
  if (error instanceof QmtlError) {
    return { code: error.code, message: error.message, details: error.details };
  }
  return { code: undefined, message: errorText(error), details: {} };
}

/** The error that `data` describes, on this side of the thread. */
export function fromErrorData(data: ErrorData): Error {
  return data.code === undefined
    ? new Error(data.message)
    : new QmtlError(data.code, data.message, data.details);
}

/** One line for any thrown value. */
export function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Any thrown value as an error: itself if it is one, else one with its text. */
export function toError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}

/** True if `error` is a `QmtlError` with one of `codes`. */
export function hasCode(error: unknown, ...codes: readonly ErrorCode[]): error is QmtlError {
  return error instanceof QmtlError && codes.includes(error.code);
}

/** True if `error` is only what the abort of `signal` looks like from inside a wait. */
export function isStop(error: unknown, signal: AbortSignal): boolean {
  return signal.aborted && (error === signal.reason || hasCode(error, "ABORTED"));
}
