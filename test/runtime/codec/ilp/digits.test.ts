import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { writeInteger } from "../../../../runtime/codec/ilp/digits.ts";

test("writeInteger() writes what String() gives", () => {
  const bytes = new Uint8Array(32);
  const edges = [0, 9, 10, 999_999_999, 1e9, 1e9 + 1, 12_345_678_901, 2 ** 53, -(2 ** 53), -1];
  const property = fc.property(fc.maxSafeInteger(), (value) => {
    const end = writeInteger(bytes, 3, value);
    expect(Buffer.from(bytes.subarray(3, end)).toString()).toBe(String(value));
  });
  for (const value of edges) {
    const end = writeInteger(bytes, 3, value);
    expect(Buffer.from(bytes.subarray(3, end)).toString()).toBe(String(value));
  }
  fc.assert(property);
});
