import { type Schema } from "qmtl";

/** A bar of the work: field 0 of the wire is its open time, in ms. */
export const bar = {
  open: "f64",
  high: "f64",
  low: "f64",
  close: "f64",
  volume: "f64",
  closeTime: "u64",
  quoteVolume: "f64",
  trades: "u32",
} as const satisfies Schema;
