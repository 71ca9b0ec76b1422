import { expect, test } from "bun:test";
import { MsgpackValue } from "../../../../runtime/codec/wire/msgpack-value.ts";
import { WireLayout } from "../../../../runtime/codec/wire/wire-layout.ts";

/** What `bytes` are as a record with a time and one field `x`. */
function rowOf(...bytes: readonly number[]): unknown {
  const values = new Float64Array(2);
  const reader = new MsgpackValue(WireLayout.of({ x: "i64" }), values);
  // A byte of another value on either side: neither may be read (M1).
  const around = Uint8Array.of(0xc1, ...bytes, 0xc1);
  return reader.read(around, 1, bytes.length) ?? [...values];
}

// Tags as the MessagePack specification lists them; 0xa2 0x74 0x73 is "ts", 0xa1 0x78 is "x".
test("an array has the time and the fields in order, integers of any width", () => {
  expect(rowOf(0x92, 5, 0x7f)).toEqual([5, 127]);
  expect(rowOf(0x92, 5, 0xff)).toEqual([5, -1]);
  expect(rowOf(0x92, 0xcc, 200, 0xd0, 0x80)).toEqual([200, -128]);
  expect(rowOf(0x92, 0xcd, 1, 0, 0xd1, 0x80, 0)).toEqual([256, -32_768]);
  expect(rowOf(0x92, 0xce, 0, 1, 0, 0, 0xd2, 0x80, 0, 0, 0)).toEqual([65_536, -2_147_483_648]);
  expect(rowOf(0xdc, 0, 2, 5, 0xd3, 0, 0, 0, 1, 0, 0, 0, 2)).toEqual([5, 4_294_967_298]);
  expect(rowOf(0xdd, 0, 0, 0, 2, 5, 0xca, 0x40, 0x40, 0, 0)).toEqual([5, 3]);
});

test("a map names them; what is missing is NaN, what is not known is passed over (M2)", () => {
  expect(rowOf(0x82, 0xa1, 0x78, 7, 0xa2, 0x74, 0x73, 5)).toEqual([5, 7]);
  expect(rowOf(0x81, 0xa2, 0x74, 0x73, 5)).toEqual([5, Number.NaN]);
  // "y" holds an array of a map and bytes, 3 is a key that is no text.
  const more = [0xa1, 0x79, 0x92, 0x81, 1, 2, 0xc4, 1, 0xff, 3, 0xc0];
  expect(rowOf(0x84, ...more, 0xa2, 0x74, 0x73, 5, 0xa1, 0x78, 7)).toEqual([5, 7]);
  expect(rowOf(0x83, 0xa1, 0x78, 7, 0xa2, 0x74, 0x73, 5, 0xa1, 0x78, 8)).toEqual([5, 8]);
});

test("counts and lengths that promise more than is there are cut short (M1)", () => {
  expect(rowOf(0x92, 5)).toBe("truncated");
  expect(rowOf(0x92, 5, 0xd3, 0, 0)).toBe("truncated");
  expect(rowOf(0xdf, 0xff, 0xff, 0xff, 0xff)).toBe("truncated");
  expect(rowOf(0x82, 0xa2, 0x74, 0x73, 5, 0xdb, 0xff, 0xff, 0xff, 0xff)).toBe("truncated");
  expect(rowOf(0x92, 5, 7, 8)).toBe("trailing_bytes");
});
