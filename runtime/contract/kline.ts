/** A bar of an exchange; `ts` is its open time. closeTime is kept as the exchange gave it. */
export const kline = {
  open: "f64",
  high: "f64",
  low: "f64",
  close: "f64",
  volume: "f64",
  closeTime: "u64",
  quoteVolume: "f64",
  trades: "u32",
  takerBuyBase: "f64",
  takerBuyQuote: "f64",
} as const;

/** Schema of `kline`. */
export type Kline = typeof kline;
