import { type Schema, type Window } from "../../runtime/index.ts";
import { Operator } from "../node.ts";
import { type FieldOf, type MutableRow, type Upstream } from "../typing.ts";

/** Output of `zscore`. */
export type ZscoreSchema = { readonly z: "f64" };

/** Settings of `zscore`. */
export interface ZscoreOptions {
  /** Bars the mean and deviation are taken over, >= 1. */
  readonly length: number;
  readonly name?: string;
}

/**
 * How many population standard deviations the newest `field` is from the mean of the last `length`
 * bars; 0 where the deviation is 0. O(1) a bar.
 */
export function zscore<S extends Schema>(
  input: Upstream<S>,
  field: FieldOf<S>,
  { length, name = `zscore_${length}` }: ZscoreOptions,
): Operator<S, ZscoreSchema, { readonly field: string; readonly length: number }> {
  return new Operator({
    name,
    input,
    lookback: length,
    schema: { z: "f64" },
    params: { field, length },
    step,
  });
}

function step(
  window: Window<Schema>,
  { field, length }: { readonly field: string; readonly length: number },
  _state: Float64Array,
  out: MutableRow<ZscoreSchema>,
): boolean {
  out.z = window.column(field, length).zscore();
  return true;
}
