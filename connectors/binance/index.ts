import { type Clock, type Exchange, systemClock } from "../../runtime/index.ts";
import { type BinanceSettings, parseBinanceConfig } from "./config.ts";
import { BinanceSource } from "./source.ts";

export { type BinanceSettings, binanceConfig } from "./config.ts";

/** Settings of the client, and what this exchange is called. */
export interface ExchangeOptions extends BinanceSettings {
  /** For people and reports; `binance` by default. */
  readonly name?: string;
  /** True for a generator behind the same API; false by default. */
  readonly isSimulated?: boolean;
  /** Paces back-off and budget; the machine's clock by default. */
  readonly clock?: Clock;
  /** Seed of the jitter; from the clock by default, so that clients spread. */
  readonly seed?: number;
  /** Gets one line when all requests have to wait. */
  readonly onNotice?: (line: string) => void;
}

/**
 * Binance Spot market data, or a server that speaks like it at `baseUrl`. Nothing is asked until
 * the first call. Open one and share it: its callers share one budget.
 *
 * @throws QmtlError CONFIG_INVALID naming every fault of the settings.
 */
export function openExchange(options: ExchangeOptions = {}): Exchange {
  const {
    name = "binance",
    isSimulated = false,
    clock = systemClock,
    seed = clock.now(),
    onNotice = () => undefined,
    ...settings
  } = options;
  const config = parseBinanceConfig(settings);
  return new BinanceSource(config, { name, isSimulated, clock, seed, onNotice });
}
