import { QmtlError } from "../../runtime/index.ts";

/** `^[A-Z0-9-_.]{1,20}$` of the exchange, and the letters without case that it lists since 2025. */
const symbolPattern = /^[\p{L}\p{N}._-]{1,20}$/u;

/**
 * Refuses what cannot be a symbol before it costs a request: the exchange takes lower case for
 * illegal characters, and its streams would stay silent for ever.
 *
 * @throws QmtlError SYMBOL_INVALID.
 */
export function checkSymbolText(symbol: string): void {
  const upper = symbol.toUpperCase();
  if (symbolPattern.test(symbol) && symbol === upper) return;
  const wanted = symbolPattern.test(upper)
    ? `"${upper}"`
    : "1 to 20 upper-case letters, digits, -, _ or .";
  throw new QmtlError(
    "SYMBOL_INVALID",
    `Cannot use the symbol: found ${JSON.stringify(symbol)}, wanted ${wanted}`,
    { symbol },
  );
}

/** The part of exchangeInfo that is used. */
export interface ExchangeInfo {
  readonly symbols: ReadonlySet<string>;
  /** The limit of REQUEST_WEIGHT for one minute, undefined if the answer has none. */
  readonly weightPerMinute: number | undefined;
}

/**
 * Reads an exchangeInfo answer. Unknown fields, statuses and limits are passed over: the exchange
 * adds some every year, and history of a delisted symbol (BREAK) is as readable as any.
 *
 * @throws QmtlError EXCHANGE_RESPONSE_INVALID if it has no list of symbols.
 */
export function exchangeInfoOf(body: unknown): ExchangeInfo {
  const symbols = new Set<string>();
  for (const entry of listOf(body, "symbols") ?? missing()) {
    const name = fieldOf(entry, "symbol");
    if (typeof name === "string") symbols.add(name);
  }
  let weightPerMinute: number | undefined;
  for (const entry of listOf(body, "rateLimits") ?? []) {
    const limit = fieldOf(entry, "limit");
    const isWeight =
      fieldOf(entry, "rateLimitType") === "REQUEST_WEIGHT" &&
      fieldOf(entry, "interval") === "MINUTE" &&
      fieldOf(entry, "intervalNum") === 1;
    if (isWeight && typeof limit === "number" && limit >= 1) weightPerMinute = limit;
  }
  return { symbols, weightPerMinute };
}

function listOf(body: unknown, name: string): readonly unknown[] | undefined {
  const list = fieldOf(body, name);
  return Array.isArray(list) ? list : undefined;
}

function fieldOf(value: unknown, name: string): unknown {
  if (typeof value !== "object" || value === null) return undefined;
  return Object.getOwnPropertyDescriptor(value, name)?.value;
}

function missing(): never {
  throw new QmtlError(
    "EXCHANGE_RESPONSE_INVALID",
    "Cannot read exchangeInfo: it has no list of symbols, wanted one",
  );
}
