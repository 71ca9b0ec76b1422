import { type Schema, type Window } from "../../runtime/index.ts";
import { type Operator } from "../node.ts";
import { type FieldOptions, type FieldParams, overField } from "../over-field.ts";
import { type FieldOf, type MutableRow, type Upstream } from "../typing.ts";

/** Output of `zscore`. */
export type ZscoreSchema = { readonly z: "f64" };

/**
 * How many population standard deviations the newest `field` is from the mean of the last `length`
 * bars; 0 where the deviation is 0. O(1) a bar.
 */
export function zscore<S extends Schema>(
  input: Upstream<S>,
  field: FieldOf<S>,
  { length, name = `zscore_${length}` }: FieldOptions,
): Operator<S, ZscoreSchema, FieldParams> {
  return overField(input, { name, field, length, schema: { z: "f64" }, step });
}

function step(
  window: Window<Schema>,
  { field, length }: FieldParams,
  _state: Float64Array,
  out: MutableRow<ZscoreSchema>,
): boolean {
  out.z = window.column(field, length).zscore();
  return true;
}
