import { expect, test } from "bun:test";
import { kline } from "../../../runtime/contract/kline.ts";
import {
  checkSchema,
  fieldsMax,
  isSameSchema,
  type Schema,
} from "../../../runtime/contract/schema.ts";
import { QmtlError } from "../../../runtime/core/errors.ts";

const faultOf = (schema: Schema): string => {
  try {
    checkSchema(schema, 'node "x"');
  } catch (error) {
    if (error instanceof QmtlError && error.code === "SCHEMA_INVALID") return error.message;
    throw error;
  }
  return "";
};

const wide = (count: number): Schema =>
  Object.fromEntries(Array.from({ length: count }, (_, i) => [`f${i}`, "f64" as const]));

test("checkSchema() accepts each kind, the kline schema, and up to fieldsMax fields", () => {
  expect(faultOf({ a: "f64", b_1: "i64", C: "u64", d: "u32", e: "bool" })).toBe("");
  expect(faultOf(kline)).toBe("");
  expect(faultOf(wide(fieldsMax))).toBe("");
});

test("checkSchema() refuses none and more than fieldsMax fields, naming the owner", () => {
  expect(faultOf({})).toBe('Cannot use the schema of node "x": it has 0 fields, wanted 1 to 256');
  expect(faultOf(wide(fieldsMax + 1))).toContain("257 fields");
});

test("checkSchema() refuses names that are no names, or that the record's identity has", () => {
  for (const name of ["1a", "_a", "a-b", "a b", "ä", "", "a".repeat(64)]) {
    expect(faultOf({ [name]: "f64" })).toContain(`field "${name}" is not a name`);
  }
  for (const name of ["ts", "seq", "key", "node_id", "definition_id"]) {
    expect(faultOf({ good: "f64", [name]: "f64" })).toContain(`field "${name}" is reserved`);
  }
  expect(faultOf({ ["a".repeat(63)]: "f64" })).toBe("");
});

test("checkSchema() refuses an unknown kind, saying which there are", () => {
  const schema = JSON.parse('{"a":"float"}') as Schema;
  expect(faultOf(schema)).toContain(
    'field "a" has kind "float", wanted f64, i64, u64, u32 or bool',
  );
});

test("isSameSchema() compares names, kinds and order", () => {
  expect(isSameSchema({ a: "f64", b: "u32" }, { a: "f64", b: "u32" })).toBeTrue();
  expect(isSameSchema({ a: "f64", b: "u32" }, { b: "u32", a: "f64" })).toBeFalse();
  expect(isSameSchema({ a: "f64" }, { a: "u64" })).toBeFalse();
  expect(isSameSchema({ a: "f64" }, { a: "f64", b: "f64" })).toBeFalse();
});

test("the kline schema has the exchange's ten fields in their order", () => {
  expect(Object.entries(kline).map(([name, kind]) => `${name} ${kind}`)).toEqual([
    "open f64",
    "high f64",
    "low f64",
    "close f64",
    "volume f64",
    "closeTime u64",
    "quoteVolume f64",
    "trades u32",
    "takerBuyBase f64",
    "takerBuyQuote f64",
  ]);
});
