import { type Schema, type Window } from "../../runtime/index.ts";
import { Operator } from "../node.ts";
import { type FieldOf, type MutableRow, type Upstream } from "../typing.ts";

/** Output of `rollingMin`. */
export type RollingMinSchema = { readonly min: "f64" };

/** Settings of `rollingMin`. */
export interface RollingMinOptions {
  /** Bars of which the smallest is taken, >= 1. */
  readonly length: number;
  readonly name?: string;
}

/** Smallest `field` of the last `length` bars, NaN if one is NaN. O(1) amortized a bar. */
export function rollingMin<S extends Schema>(
  input: Upstream<S>,
  field: FieldOf<S>,
  { length, name = `min_${length}` }: RollingMinOptions,
): Operator<S, RollingMinSchema, { readonly field: string; readonly length: number }> {
  return new Operator({
    name,
    input,
    lookback: length,
    schema: { min: "f64" },
    params: { field, length },
    step,
  });
}

function step(
  window: Window<Schema>,
  { field, length }: { readonly field: string; readonly length: number },
  _state: Float64Array,
  out: MutableRow<RollingMinSchema>,
): boolean {
  out.min = window.column(field, length).min();
  return true;
}
