import { type Schema, type Window } from "../../runtime/index.ts";
import { Operator } from "../node.ts";
import { type FieldOf, type MutableRow, type Upstream } from "../typing.ts";

/** Output of `rollingMax`. */
export type RollingMaxSchema = { readonly max: "f64" };

/** Settings of `rollingMax`. */
export interface RollingMaxOptions {
  /** Bars of which the largest is taken, >= 1. */
  readonly length: number;
  readonly name?: string;
}

/** Largest `field` of the last `length` bars, NaN if one is NaN. O(1) amortized a bar. */
export function rollingMax<S extends Schema>(
  input: Upstream<S>,
  field: FieldOf<S>,
  { length, name = `max_${length}` }: RollingMaxOptions,
): Operator<S, RollingMaxSchema, { readonly field: string; readonly length: number }> {
  return new Operator({
    name,
    input,
    lookback: length,
    schema: { max: "f64" },
    params: { field, length },
    step,
  });
}

function step(
  window: Window<Schema>,
  { field, length }: { readonly field: string; readonly length: number },
  _state: Float64Array,
  out: MutableRow<RollingMaxSchema>,
): boolean {
  out.max = window.column(field, length).max();
  return true;
}
