import { type FieldKind } from "../../contract/schema.ts";

/** Why a value cannot be read as a record: the reason in the dead-letter topic. */
export type ValueFault =
  | "empty"
  | "not_a_record"
  | "truncated"
  | "trailing_bytes"
  | "invalid_msgpack"
  | "invalid_json"
  | "too_long"
  | "field_count"
  | "ts_missing"
  | "ts_invalid"
  | "wrong_type"
  | "not_an_integer"
  | "out_of_range"
  | "unsafe_integer"
  | "infinite";

/** Why a field of kind `kind` cannot hold `value`; undefined if it can. NaN is "no value". */
export function faultOfNumber(kind: FieldKind, value: number): ValueFault | undefined {
  if (value !== value) return undefined;
  if (value === Infinity || value === -Infinity) return "infinite";
  switch (kind) {
    case "f64":
      return undefined;
    case "bool":
      return value === 0 || value === 1 ? undefined : "out_of_range";
    case "u32":
      return faultOfInteger(value, 0, 2 ** 32 - 1);
    case "u64":
      return faultOfInteger(value, 0, 2 ** 53);
    case "i64":
      return faultOfInteger(value, -(2 ** 53), 2 ** 53);
  }
}

function faultOfInteger(value: number, min: number, max: number): ValueFault | undefined {
  if (!Number.isInteger(value)) return "not_an_integer";
  if (Math.abs(value) > 2 ** 53) return "unsafe_integer";
  return value < min || value > max ? "out_of_range" : undefined;
}
