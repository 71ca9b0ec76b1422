import { type Schema, type Window } from "../../runtime/index.ts";
import { Operator } from "../node.ts";
import { type FieldOf, type MutableRow, type Upstream } from "../typing.ts";
import { type Restart, restartFloats, restartOf, runAgainFrom } from "./restart.ts";

/** Output of `ema`. */
export type EmaSchema = { readonly ema: "f64" };

/** Settings of `ema`. */
export interface EmaOptions {
  /** Bars n of the weight 2 / (n + 1), 1 to 10,000. */
  readonly length: number;
  readonly name?: string;
}

/** What `ema` hands to its step. */
export interface EmaParams extends Restart {
  readonly field: string;
  readonly length: number;
  readonly [name: string]: number | string;
}

/** Above 36.8 / (-ln(1 - 2 / (n + 1)) · n), which is 18.4 at most. */
const settleLengths = 19;

/**
 * Exponential moving average of `field`, in the field's unit: value += 2 / (length + 1) · (field −
 * value). Its first output comes after 28.5 lengths, when the seed no longer counts (restart.ts).
 * A record whose field is NaN gives NaN and changes nothing. O(1) amortized a bar.
 *
 * @throws QmtlError ARGUMENT_INVALID if `length` is out of range.
 */
export function ema<S extends Schema>(
  input: Upstream<S>,
  field: FieldOf<S>,
  { length, name = `ema_${length}` }: EmaOptions,
): Operator<S, EmaSchema, EmaParams> {
  const { lookback, settleBars, blockMs } = restartOf(input, { name, length, settleLengths });
  return new Operator({
    name,
    input,
    lookback,
    schema: { ema: "f64" },
    params: { field, length, settleBars, blockMs },
    state: restartFloats,
    step,
  });
}

function step(
  window: Window<Schema>,
  params: EmaParams,
  state: Float64Array,
  out: MutableRow<EmaSchema>,
): boolean {
  const weight = 2 / (params.length + 1);
  const values = window.column(params.field);
  const from = runAgainFrom(window.times, params, state);
  let value = from < 0 ? state[0]! : Number.NaN;
  for (let i = from < 0 ? values.length - 1 : from; i < values.length; i += 1) {
    value = next(value, values.at(i), weight);
  }
  state[0] = value;
  out.ema = Number.isNaN(values.last) ? Number.NaN : value;
  return true;
}

function next(value: number, bar: number, weight: number): number {
  if (Number.isNaN(bar)) return value;
  return Number.isNaN(value) ? bar : value + weight * (bar - value);
}
