import { type ConnectorIndex } from "../../contract/connector.ts";
import { type Exchange } from "../../contract/exchange.ts";
import { errorText, toError } from "../../core/errors.ts";
import { type RunSettings } from "../settings.ts";

/** The exchange a run asks, or why it asks none. */
export type ChosenExchange =
  | { readonly kind: "open"; readonly exchange: Exchange; readonly serverTimeMs: number }
  | { readonly kind: "unreachable"; readonly reason: string; readonly error: Error };

/** Seed of the exchange that stands in when none can be reached: everyone sees the same bars. */
export const standInSeed = 1;

/** What a run asks an exchange for. */
export interface ExchangeAsked {
  readonly settings: RunSettings;
  readonly symbols: readonly string[];
  /** Gets one line when all requests have to wait. */
  readonly onNotice: (line: string) => void;
}

/** True if the user named an exchange: then nothing ever stands in for it. */
export function isExchangeNamed(settings: RunSettings): boolean {
  return settings.exchange !== "auto" || settings.binanceUrl !== undefined;
}

/**
 * Opens the exchange of `settings` and asks for its clock and symbols.
 *
 * @returns `unreachable` only for `--exchange auto` without a named URL.
 * @throws QmtlError EXCHANGE_* and SYMBOL_UNKNOWN otherwise.
 */
export async function chooseExchange(
  connectors: ConnectorIndex,
  { settings, symbols, onNotice }: ExchangeAsked,
  signal: AbortSignal,
): Promise<ChosenExchange> {
  const choice = settings.exchange === "auto" ? { kind: "binance" as const } : settings.exchange;
  const url = settings.binanceUrl === undefined ? {} : { url: settings.binanceUrl };
  const options = { ...url, onNotice };
  const exchange = await connectors.openExchange(choice, options, signal);
  try {
    const serverTimeMs = await exchange.serverTime(signal);
    await exchange.checkSymbols(symbols, signal);
    return { kind: "open", exchange, serverTimeMs };
  } catch (error) {
    await exchange.close();
    if (isExchangeNamed(settings) || !connectors.isUnreachable(error)) throw error;
    return { kind: "unreachable", reason: reasonOf(error), error: toError(error) };
  }
}

/** `HOST: why`, fit for a sentence that says already that it can't be reached. */
function reasonOf(error: unknown): string {
  return errorText(error)
    .replace(/^Cannot \w+ the exchange at /, "")
    .replace(/, wanted [^,]*$/, "");
}

/** The generated exchange that stands in for an unreachable one. */
export async function openStandIn(
  connectors: ConnectorIndex,
  signal: AbortSignal,
): Promise<Exchange> {
  return await connectors.openExchange({ kind: "simulated", seed: standInSeed }, {}, signal);
}
