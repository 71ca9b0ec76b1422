import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { ValueDecoder } from "../../../../runtime/codec/wire/value-decoder.ts";
import { WireLayout } from "../../../../runtime/codec/wire/wire-layout.ts";
import { kline } from "../../../../runtime/contract/kline.ts";
import { type FieldKind, type Schema } from "../../../../runtime/contract/schema.ts";
import { decode, encode, every, pack, read, text, ts } from "./wire-rows.ts";

test("no value in an integer field is nil: shorter, and read on the slow path (L2)", () => {
  const row = [1, Number.NaN, Number.NaN, Number.NaN, Number.NaN];
  const bytes = encode(every, row);
  expect(bytes.length).toBe(1 + 9 + 9 + 4);
  expect(read(every, bytes)).toBe(undefined);
  expect(decode(every, bytes)).toEqual([ts, ...row]);
});

test("decode() takes maps, narrow integers, float32, nil and JSON to the same row", () => {
  const row = [ts, 1.5, -2, 3, 7, 1];
  const named = { ts, a: 1.5, b: -2, c: 3, d: 7, e: true };
  expect(decode(every, pack([ts, 1.5, -2, 3, 7, true]))).toEqual(row);
  expect(decode(every, pack([ts, 1.5, -2, 3, 7, 1]))).toEqual(row);
  expect(decode(every, pack(named))).toEqual(row);
  expect(decode(every, pack({ extra: [1, { deep: "x" }], ...named, more: null }))).toEqual(row);
  expect(decode(every, text(JSON.stringify(named)))).toEqual(row);
  expect(decode(every, text(` ${JSON.stringify([ts, 1.5, -2, 3, 7, 1])}\n`))).toEqual(row);
  const nothing = [ts, Number.NaN, Number.NaN, Number.NaN, Number.NaN, Number.NaN];
  expect(decode(every, pack({ ts }))).toEqual(nothing);
  expect(decode(every, pack([ts, null, null, null, null, null]))).toEqual(nothing);
  expect(decode(every, text(`{"ts":${ts},"a":null}`))).toEqual(nothing);
  expect(decode(every, Uint8Array.of(0x92, 0, 0xca, 0x3f, 0xc0, 0, 0))).toBe("field_count");
  expect(decode({ x: "f64" }, Uint8Array.of(0x92, 5, 0xca, 0x3f, 0xc0, 0, 0))).toEqual([5, 1.5]);
  expect(decode({ x: "i64" }, Uint8Array.of(0x92, 5, 0xd0, 0x80))).toEqual([5, -128]);
  expect(decode({ x: "i64" }, Uint8Array.of(0x92, 5, 0xd1, 0xff, 0xfe))).toEqual([5, -2]);
  expect(decode({ x: "i64" }, Uint8Array.of(0x92, 5, 0xd2, 0xff, 0xff, 0xff, 0xfd))).toEqual([
    5, -3,
  ]);
  expect(decode({ x: "u64" }, pack([5, 2n ** 53n]))).toEqual([5, 2 ** 53]);
  expect(decode({ x: "i64" }, pack([5, -(2n ** 53n)]))).toEqual([5, -(2 ** 53)]);
});

test("decode() names the reason for what is no record", () => {
  const faults: readonly (readonly [Uint8Array, string])[] = [
    [new Uint8Array(0), "empty"],
    [Uint8Array.of(5), "not_a_record"],
    [text("hello"), "not_a_record"],
    [pack("hello"), "not_a_record"],
    [Uint8Array.of(0xc1), "invalid_msgpack"],
    [Uint8Array.of(0x92, 1, 0xc1), "invalid_msgpack"],
    [Uint8Array.of(0x92, 1), "truncated"],
    [Uint8Array.of(0x92, 1, 0xcb, 0), "truncated"],
    [Uint8Array.of(0xdd, 0xff, 0xff, 0xff, 0xff), "field_count"],
    [Uint8Array.of(0xdf, 0xff, 0xff, 0xff, 0xff, 0xa1, 0x78), "truncated"],
    [Uint8Array.of(0x92, 1, 2, 3), "trailing_bytes"],
    [pack([1]), "field_count"],
    [pack([1, 2, 3]), "field_count"],
    [pack({ x: 1 }), "ts_missing"],
    [pack([null, 1]), "ts_missing"],
    [pack([8.65e15, 1]), "ts_invalid"],
    [pack([1.5, 1]), "not_an_integer"],
    [pack([-1, 1]), "out_of_range"],
    [pack([1, "2"]), "wrong_type"],
    [pack([1, [2]]), "wrong_type"],
    [pack([1, true]), "wrong_type"],
    [pack([1, Buffer.from("2")]), "wrong_type"],
    [pack([1, Infinity]), "infinite"],
    [pack([1, 2n ** 53n + 1n]), "unsafe_integer"],
    [pack([2n ** 63n, 1]), "unsafe_integer"],
    [text("{"), "invalid_json"],
    [Uint8Array.of(0x7b, 0xff, 0x7d), "invalid_json"],
    [text("[1,2,3]"), "field_count"],
    [text('{"ts":1,"x":"2"}'), "wrong_type"],
    [text('{"ts":1,"x":true}'), "wrong_type"],
    [text('{"x":1}'), "ts_missing"],
    [text('{"ts":1,"x":1e999}'), "infinite"],
    [text('{"ts":9007199254740993,"x":1}'), "unsafe_integer"],
    [new Uint8Array(2 << 20).fill(0x5b), "too_long"],
    [new Uint8Array(1 << 20).fill(0x5b), "invalid_json"],
    [new Uint8Array(1 << 20).fill(0x92), "wrong_type"],
  ];
  for (const [bytes, fault] of faults) expect(decode({ x: "f64" }, bytes)).toBe(fault);
  const kinds: readonly (readonly [FieldKind, unknown, string])[] = [
    ["u32", -1, "out_of_range"],
    ["u32", 2 ** 32, "out_of_range"],
    ["u64", -1, "out_of_range"],
    ["i64", 0.5, "not_an_integer"],
    ["u64", 2 ** 60, "unsafe_integer"],
    ["bool", 2, "out_of_range"],
    ["u32", true, "wrong_type"],
  ];
  for (const [kind, value, fault] of kinds) {
    expect(decode({ x: kind }, pack([1, value]))).toBe(fault);
    expect(decode({ x: kind }, pack({ ts: 1, x: value }))).toBe(fault);
    expect(decode({ x: kind }, text(JSON.stringify([1, value])))).toBe(fault);
  }
});

test("decode() reads a schema whose names objects have anyway", () => {
  const schema = { constructor: "f64", toString: "f64" } as unknown as Schema;
  expect(decode(schema, text('{"ts":1}'))).toEqual([1, Number.NaN, Number.NaN]);
  expect(decode(schema, text('{"ts":1,"toString":3}'))).toEqual([1, Number.NaN, 3]);
  expect(decode(schema, pack({ ts: 1, ["constructor"]: 2 }))).toEqual([1, 2, Number.NaN]);
});

// Goal: V1 for every row of a bar. Method: write, read fast, decode slowly, compare.
test("fast and slow path agree on every row", () => {
  const whole = fc.integer({ min: 0, max: 2 ** 53 - 1 });
  const row = fc.tuple(whole, fc.array(fc.double({ noDefaultInfinity: true }), { minLength: 10 }));
  const property = fc.property(row, fc.nat(2 ** 32 - 1), ([closeTime, doubles], trades) => {
    const values = Object.values(kline).map((kind, i) =>
      kind === "f64" ? doubles[i]! : kind === "u32" ? trades : closeTime,
    );
    const bytes = encode(kline, values);
    const wanted = [ts, ...values.map((value) => value + 0)];
    expect(read(kline, bytes)).toEqual(wanted);
    expect(decode(kline, bytes)).toEqual(wanted);
  });
  fc.assert(property, { numRuns: 300 });
});

test("copyTo() lays the row out as the fast reader does", () => {
  const decoder = new ValueDecoder(WireLayout.of({ x: "f64", y: "u32" }));
  const bytes = pack({ ts: 3, x: 0.5, y: 9 });
  expect(decoder.decode(bytes, 0, bytes.length)).toBe(undefined);
  const target = new Float64Array(6);
  decoder.copyTo(target, 1, 2);
  expect([...target]).toEqual([0, 3, 0, 0.5, 0, 9]);
});
