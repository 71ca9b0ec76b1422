import { type Schema, type Window } from "../../runtime/index.ts";
import { type Operator } from "../node.ts";
import { type FieldOptions, type FieldParams, overField } from "../over-field.ts";
import { type FieldOf, type MutableRow, type Upstream } from "../typing.ts";

/** Output of `rollingMax`. */
export type RollingMaxSchema = { readonly max: "f64" };

/** Largest `field` of the last `length` bars, NaN if one is NaN. O(1) amortized a bar. */
export function rollingMax<S extends Schema>(
  input: Upstream<S>,
  field: FieldOf<S>,
  { length, name = `max_${length}` }: FieldOptions,
): Operator<S, RollingMaxSchema, FieldParams> {
  return overField(input, { name, field, length, schema: { max: "f64" }, step });
}

function step(
  window: Window<Schema>,
  { field, length }: FieldParams,
  _state: Float64Array,
  out: MutableRow<RollingMaxSchema>,
): boolean {
  out.max = window.column(field, length).max();
  return true;
}
