import { type Schema, type Window } from "../runtime/index.ts";
import { Operator } from "./node.ts";
import { type FieldOf, type MutableRow, type Upstream } from "./typing.ts";

/** Settings of an indicator over the last bars of one field. */
export interface FieldOptions {
  /** Bars that it sees, >= 1. */
  readonly length: number;
  readonly name?: string;
}

/** What such an indicator hands to its step. */
export type FieldParams = { readonly field: string; readonly length: number };

/** What makes such an indicator the one it is. */
export interface FieldIndicator<S extends Schema, Out extends Schema>
  extends Required<FieldOptions> {
  readonly field: FieldOf<S>;
  readonly schema: Out;
  /** Takes what it needs of the window's column; see `Operator`. */
  readonly step: (
    window: Window<Schema>,
    params: FieldParams,
    state: Float64Array,
    out: MutableRow<Out>,
  ) => boolean;
}

/**
 * An Operator without state of its own over the last `length` bars of `field`.
 *
 * @throws QmtlError ARGUMENT_INVALID if `length` is not an integer >= 1.
 */
export function overField<S extends Schema, const Out extends Schema>(
  input: Upstream<S>,
  indicator: FieldIndicator<S, Out>,
): Operator<S, Out, FieldParams> {
  const { field, length, name, schema, step } = indicator;
  return new Operator({
    name,
    input,
    lookback: length,
    schema,
    params: { field, length },
    step,
  });
}
