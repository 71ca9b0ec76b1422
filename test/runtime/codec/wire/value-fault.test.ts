import { expect, test } from "bun:test";
import { faultOfNumber } from "../../../../runtime/codec/wire/value-fault.ts";

test("a kind holds the integers of its size, and NaN for no value", () => {
  for (const [kind, least, most] of [
    ["bool", 0, 1],
    ["u32", 0, 4_294_967_295],
    ["u64", 0, 9_007_199_254_740_992],
    ["i64", -9_007_199_254_740_992, 9_007_199_254_740_992],
  ] as const) {
    for (const held of [least, most, 1, Number.NaN]) {
      expect([kind, held, faultOfNumber(kind, held)]).toEqual([kind, held, undefined]);
    }
    expect(faultOfNumber(kind, Infinity)).toBe("infinite");
  }
});

test("what a kind cannot hold is named", () => {
  expect(faultOfNumber("bool", 2)).toBe("out_of_range");
  expect(faultOfNumber("bool", 0.5)).toBe("out_of_range");
  expect(faultOfNumber("u32", -1)).toBe("out_of_range");
  expect(faultOfNumber("u32", 4_294_967_296)).toBe("out_of_range");
  expect(faultOfNumber("u32", 1.5)).toBe("not_an_integer");
  expect(faultOfNumber("i64", -9_007_199_254_740_994)).toBe("unsafe_integer");
  expect(faultOfNumber("f64", 1e308)).toBe(undefined);
  expect(faultOfNumber("f64", -Infinity)).toBe("infinite");
});
