import { expect } from "bun:test";
import { Packr } from "msgpackr";
import { ValueDecoder } from "../../../../runtime/codec/wire/value-decoder.ts";
import { WireLayout } from "../../../../runtime/codec/wire/wire-layout.ts";
import { compileWireRead, genericWireRead } from "../../../../runtime/codec/wire/wire-reader.ts";
import { compileWireWrite, genericWireWrite } from "../../../../runtime/codec/wire/wire-writer.ts";
import { type Schema } from "../../../../runtime/contract/schema.ts";

/** A field of every kind. */
export const every = { a: "f64", b: "i64", c: "u64", d: "u32", e: "bool" } as const;
/** Time of the rows. */
export const ts = 1_700_000_000_000;

/** One row as a wire value, by both writers. */
export function encode(schema: Schema, values: readonly number[], time = ts): Uint8Array {
  const layout = WireLayout.of(schema);
  const columns = values.map((value) => Float64Array.of(value));
  const length = layout.lengthOf(columns, 0);
  const [one, other] = [compileWireWrite(layout), genericWireWrite(layout)].map((write) => {
    const bytes = new Uint8Array(length + 4);
    expect(write(new DataView(bytes.buffer), 2, time, columns, 0)).toBe(length + 2);
    return bytes.slice(2, length + 2);
  });
  expect(one).toEqual(other);
  return one!;
}

/** The row that both fast readers find at `at`, undefined if they refuse; they agree. */
export function read(schema: Schema, bytes: Uint8Array, at = 0, length = bytes.length): unknown {
  const layout = WireLayout.of(schema);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const [one, other] = [compileWireRead(layout), genericWireRead(layout)].map((readWire) => {
    const target = new Float64Array(layout.fields.length * 3 + 1);
    const isRead = readWire(view, bytes, at, length, target, 1, 3);
    return isRead ? layout.fields.map((_, i) => target[1 + i * 3]) : undefined;
  });
  expect(one).toEqual(other);
  return one;
}

/** The slow path's row, or its fault. */
export function decode(schema: Schema, bytes: Uint8Array): unknown {
  const decoder = new ValueDecoder(WireLayout.of(schema));
  const guarded = new Uint8Array(bytes.length + 32).fill(0x91);
  guarded.set(bytes, 16);
  return decoder.decode(guarded, 16, bytes.length) ?? [...decoder.values];
}

/** `value` as another library packs it. */
export const pack = (value: unknown): Uint8Array =>
  new Packr({ useRecords: false, variableMapSize: true }).pack(value);
/** `value` in UTF-8. */
export const text = (value: string): Uint8Array => new TextEncoder().encode(value);
