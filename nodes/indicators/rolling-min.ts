import { type Schema, type Window } from "../../runtime/index.ts";
import { type Operator } from "../node.ts";
import { type FieldOptions, type FieldParams, overField } from "../over-field.ts";
import { type FieldOf, type MutableRow, type Upstream } from "../typing.ts";

/** Output of `rollingMin`. */
export type RollingMinSchema = { readonly min: "f64" };

/** Smallest `field` of the last `length` bars, NaN if one is NaN. O(1) amortized a bar. */
export function rollingMin<S extends Schema>(
  input: Upstream<S>,
  field: FieldOf<S>,
  { length, name = `min_${length}` }: FieldOptions,
): Operator<S, RollingMinSchema, FieldParams> {
  return overField(input, { name, field, length, schema: { min: "f64" }, step });
}

function step(
  window: Window<Schema>,
  { field, length }: FieldParams,
  _state: Float64Array,
  out: MutableRow<RollingMinSchema>,
): boolean {
  out.min = window.column(field, length).min();
  return true;
}
