import { type Schema, type Window } from "../../runtime/index.ts";
import { type Operator } from "../node.ts";
import { type FieldOptions, type FieldParams, overField } from "../over-field.ts";
import { type FieldOf, type MutableRow, type Upstream } from "../typing.ts";

/** Output of `sma`. */
export type SmaSchema = { readonly sma: "f64" };

/** Simple moving average of `field` over the last `length` bars, in the field's unit. O(1) a bar. */
export function sma<S extends Schema>(
  input: Upstream<S>,
  field: FieldOf<S>,
  { length, name = `sma_${length}` }: FieldOptions,
): Operator<S, SmaSchema, FieldParams> {
  return overField(input, { name, field, length, schema: { sma: "f64" }, step });
}

function step(
  window: Window<Schema>,
  { field, length }: FieldParams,
  _state: Float64Array,
  out: MutableRow<SmaSchema>,
): boolean {
  out.sma = window.column(field, length).mean();
  return true;
}
