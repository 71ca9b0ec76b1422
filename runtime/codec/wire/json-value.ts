import { type FieldKind } from "../../contract/schema.ts";
import { faultOfNumber, type ValueFault } from "./value-fault.ts";
import { type WireLayout } from "./wire-layout.ts";

/** Bytes of a JSON value, at most: what is longer is no record of at most 256 fields. */
export const jsonBytesMax = 1 << 20;

const decoder = new TextDecoder("utf-8", { fatal: true });

/**
 * Reads JSON as a record into `values` (`ts`, then the fields): an array of exactly these or an
 * object that names them, as in MessagePack; `null` and what is missing is NaN. An integer field
 * takes integers below 2^53 in size: from there on the parser has rounded, and nobody can tell.
 *
 * @returns why it could not, undefined if it did.
 */
export function readJson(
  layout: WireLayout,
  bytes: Uint8Array,
  values: Float64Array,
): ValueFault | undefined {
  if (bytes.length > jsonBytesMax) return "too_long";
  const parsed = parse(bytes);
  if (typeof parsed === "string") return parsed;
  const { fields } = layout;
  const isArray = Array.isArray(parsed);
  if (isArray && parsed.length !== fields.length) return "field_count";
  for (let i = 0; i < fields.length; i += 1) {
    const { name, kind } = fields[i]!;
    const key = isArray ? String(i) : name;
    const found: unknown = Object.hasOwn(parsed, key) ? Reflect.get(parsed, key) : null;
    const value = numberOf(found, kind);
    const fault = value === undefined ? "wrong_type" : faultOfParsed(kind, value);
    if (fault !== undefined) return fault;
    values[i] = (value ?? Number.NaN) + 0;
  }
  return undefined;
}

function faultOfParsed(kind: FieldKind, value: number): ValueFault | undefined {
  const fault = faultOfNumber(kind, value);
  return fault === undefined && kind !== "f64" && Math.abs(value) >= 2 ** 53
    ? "unsafe_integer"
    : fault;
}

function parse(bytes: Uint8Array): object | ValueFault {
  try {
    const parsed: unknown = JSON.parse(decoder.decode(bytes));
    return typeof parsed === "object" && parsed !== null ? parsed : "not_a_record";
  } catch {
    return "invalid_json"; // the reason is the result: bytes, syntax and depth alike
  }
}

function numberOf(found: unknown, kind: FieldKind): number | undefined {
  if (typeof found === "number") return found;
  if (found === null) return Number.NaN;
  return typeof found === "boolean" && kind === "bool" ? Number(found) : undefined;
}
