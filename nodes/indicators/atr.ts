import { type Window } from "../../runtime/index.ts";
import { Operator } from "../node.ts";
import { type MutableRow, type SchemaWith, type Upstream } from "../typing.ts";
import { type Restart, restartFloats, restartOf, runAgainFrom } from "./restart.ts";

/** Output of `atr`. */
export type AtrSchema = { readonly atr: "f64" };

/** Settings of `atr`. */
export interface AtrOptions {
  /** Bars n of Wilder's weight 1 / n, 1 to 10,000. */
  readonly length: number;
  readonly name?: string;
}

/** What `atr` hands to its step. */
export interface AtrParams extends Restart {
  readonly length: number;
  readonly [name: string]: number;
}

type Bars = SchemaWith<"high" | "low" | "close">;

/** Above 36.8 / (-ln(1 - 1 / n) · n), which is 36.8 at most. */
const settleLengths = 37;

/**
 * Wilder's average true range, in the unit of price: value += (range − value) / length, where range
 * is the largest of high − low and the distances of high and low from the close before. Its first
 * output comes after 55.5 lengths, when the seed no longer counts (restart.ts). A bar whose range
 * is NaN gives NaN and changes nothing. O(1) amortized a bar.
 *
 * @throws QmtlError ARGUMENT_INVALID if `length` is out of range.
 */
export function atr<S extends Bars>(
  input: Upstream<S>,
  { length, name = `atr_${length}` }: AtrOptions,
): Operator<S, AtrSchema, AtrParams> {
  const { lookback, settleBars, blockMs } = restartOf(input, { name, length, settleLengths });
  return new Operator({
    name,
    input,
    lookback,
    schema: { atr: "f64" },
    params: { length, settleBars, blockMs },
    state: restartFloats,
    step,
  });
}

function step(
  window: Window<Bars>,
  params: AtrParams,
  state: Float64Array,
  out: MutableRow<AtrSchema>,
): boolean {
  const from = runAgainFrom(window.times, params, state);
  const newest = window.length - 1;
  let value = from < 0 ? state[0]! : Number.NaN;
  let range = Number.NaN;
  // The window's oldest bar has no close before it.
  for (let i = from < 0 ? newest : Math.max(1, from); i <= newest; i += 1) {
    range = trueRange(
      window.value("high", i),
      window.value("low", i),
      window.value("close", i - 1),
    );
    if (!Number.isNaN(range)) {
      value = Number.isNaN(value) ? range : value + (range - value) / params.length;
    }
  }
  state[0] = value;
  out.atr = Number.isNaN(range) ? Number.NaN : value;
  return true;
}

function trueRange(high: number, low: number, closeBefore: number): number {
  return Math.max(high - low, Math.abs(high - closeBefore), Math.abs(low - closeBefore));
}
