import { expect, test } from "bun:test";
import { jsonBytesMax, readJson } from "../../../../runtime/codec/wire/json-value.ts";
import { WireLayout } from "../../../../runtime/codec/wire/wire-layout.ts";
import { text } from "./wire-rows.ts";

const layout = WireLayout.of({ price: "f64", count: "u64", isBuyer: "bool" });

/** The row, or why there is none. */
function rowOf(json: string): unknown {
  const values = new Float64Array(4);
  return readJson(layout, text(json), values) ?? [...values];
}

test("an object's fields are found by name, an array's by place", () => {
  expect(rowOf('{"count":3,"other":"x","isBuyer":true,"ts":5,"price":-0.5}')).toEqual([
    5, -0.5, 3, 1,
  ]);
  expect(rowOf("[5, -0.5, 3, false]")).toEqual([5, -0.5, 3, 0]);
});

test("null and what is missing is no value; minus zero is zero", () => {
  expect(rowOf('{"ts":5,"price":null}')).toEqual([5, Number.NaN, Number.NaN, Number.NaN]);
  expect(Object.is((rowOf("[5,-0,0,0]") as number[])[1], 0)).toBe(true);
});

test("an integer that the parser may have rounded is refused, a price of that size is not", () => {
  expect(rowOf("[5,1,9007199254740991,0]")).toEqual([5, 1, 9_007_199_254_740_991, 0]);
  // 2^53 is also what 2^53 + 1 is read as.
  expect(rowOf("[5,1,9007199254740993,0]")).toBe("unsafe_integer");
  expect(rowOf("[5,9007199254740992,1,0]")).toEqual([5, 9_007_199_254_740_992, 1, 0]);
});

test("what is no record is named", () => {
  for (const [json, fault] of [
    ["[5,1,2]", "field_count"],
    ['[5,"1",2,0]', "wrong_type"],
    ["[5,1,true,0]", "wrong_type"],
    ["[5,1,2.5,0]", "not_an_integer"],
    ["[5,1e999,2,0]", "infinite"],
    ["null", "not_a_record"],
    ['{"ts":', "invalid_json"],
    [" ".repeat(jsonBytesMax + 1), "too_long"],
  ] as const) {
    expect(rowOf(json)).toBe(fault);
  }
});
