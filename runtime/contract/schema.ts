import { QmtlError } from "../core/errors.ts";

/**
 * Kind of a field. All are held as float64 in windows and columns; the kind fixes the wire form
 * (`u64` is 8 bytes, `u32` 4) and the values that are accepted (integers up to 2^53, bool 0 or 1).
 */
export type FieldKind = "f64" | "i64" | "u64" | "u32" | "bool";

/** Ordered named fields of a record, without `ts`, which every record has. */
export type Schema = Readonly<Record<string, FieldKind>>;

/** One record's fields as an object; `bool` is 0 or 1. */
export type Row<S extends Schema> = { readonly [F in keyof S]: number };

/** Fields of a schema, at most: a wire value stays under one fetch and a window row under 4 KiB. */
export const fieldsMax = 256;

const kinds: ReadonlySet<string> = new Set(["f64", "i64", "u64", "u32", "bool"]);
const namePattern = /^[A-Za-z][A-Za-z0-9_]{0,62}$/;
const reserved: ReadonlySet<string> = new Set(["ts", "seq", "key", "node_id", "definition_id"]);

/**
 * Checks a schema that a user wrote.
 *
 * @throws QmtlError SCHEMA_INVALID if it is empty, has more than `fieldsMax` fields, a bad name or
 *   an unknown kind.
 */
export function checkSchema(schema: Schema, owner: string): void {
  const names = Object.keys(schema);
  const fault =
    names.length === 0 || names.length > fieldsMax
      ? `it has ${names.length} fields, wanted 1 to ${fieldsMax}`
      : names.map((name) => faultOfField(name, schema[name])).find((text) => text !== undefined);
  if (fault !== undefined) {
    throw new QmtlError("SCHEMA_INVALID", `Cannot use the schema of ${owner}: ${fault}`);
  }
}

function faultOfField(name: string, kind: unknown): string | undefined {
  if (!namePattern.test(name)) return `field "${name}" is not a name of letters, digits and _`;
  if (reserved.has(name)) return `field "${name}" is reserved for the record's identity`;
  if (typeof kind === "string" && kinds.has(kind)) return undefined;
  return `field "${name}" has kind "${String(kind)}", wanted f64, i64, u64, u32 or bool`;
}

/** True if the two schemas have the same fields of the same kinds in the same order. */
export function isSameSchema(a: Schema, b: Schema): boolean {
  return JSON.stringify(Object.entries(a)) === JSON.stringify(Object.entries(b));
}
