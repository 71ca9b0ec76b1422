import { type Schema, type Window } from "../../runtime/index.ts";
import { Operator } from "../node.ts";
import { type FieldOf, type MutableRow, type Upstream } from "../typing.ts";

/** Output of `sma`. */
export type SmaSchema = { readonly sma: "f64" };

/** Settings of `sma`. */
export interface SmaOptions {
  /** Bars averaged, >= 1. */
  readonly length: number;
  readonly name?: string;
}

/** Simple moving average of `field` over the last `length` bars, in the field's unit. O(1) a bar. */
export function sma<S extends Schema>(
  input: Upstream<S>,
  field: FieldOf<S>,
  { length, name = `sma_${length}` }: SmaOptions,
): Operator<S, SmaSchema, { readonly field: string; readonly length: number }> {
  return new Operator({
    name,
    input,
    lookback: length,
    schema: { sma: "f64" },
    params: { field, length },
    step,
  });
}

function step(
  window: Window<Schema>,
  { field, length }: { readonly field: string; readonly length: number },
  _state: Float64Array,
  out: MutableRow<SmaSchema>,
): boolean {
  out.sma = window.column(field, length).mean();
  return true;
}
