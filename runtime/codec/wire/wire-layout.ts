import { checkSchema, type FieldKind, type Schema } from "../../contract/schema.ts";

/** One field of a wire value. */
export interface WireField {
  /** `ts`, or the field's name in the schema. */
  readonly name: string;
  readonly kind: FieldKind;
  /** Where its tag byte lies; a `bool` is its tag, the others' bytes follow it. */
  readonly at: number;
  /** MessagePack tag: the kind at full width. */
  readonly tag: number;
}

/**
 * The fixed form of a record on the wire: a MessagePack array of `ts` (u64 ms) and the fields in
 * schema order, each at full width, so that every field has one place.
 *
 *   array header   0x9n up to 15 items, else 0xdc and u16
 *   ts             0xcf u64
 *   f64 0xcb · i64 0xd3 · u64 0xcf · u32 0xce · bool 0xc2 or 0xc3
 *
 *   L1  A value in this form is `byteLength` long and has the tag of each field at its place.
 *   L2  "No value" (NaN) is itself in an f64 field. Another kind has no such number: it is nil,
 *       the value is shorter and is read on the slow path.
 *   L3  Integers lie within ±2^53, `ts` from 0 to `timeMsMax`, numbers are finite, −0 is 0.
 */
export class WireLayout {
  readonly schema: Schema;
  /** `ts` first, then the schema's fields. */
  readonly fields: readonly WireField[];
  /** Bytes of a value in this form. */
  readonly byteLength: number;
  /** Bytes of the array header: 1 or 3. */
  readonly headerBytes: number;

  private constructor(schema: Schema) {
    const columns: readonly (readonly [string, FieldKind])[] = [
      ["ts", "u64"],
      ...Object.entries(schema),
    ];
    this.schema = schema;
    this.headerBytes = columns.length <= shortArrayMax ? 1 : 3;
    let at = this.headerBytes;
    this.fields = columns.map(([name, kind]) => {
      const field = { name, kind, at, tag: tagOf[kind] };
      at += bytesOf[kind];
      return field;
    });
    this.byteLength = at;
  }

  /** The layout of `schema`. @throws QmtlError SCHEMA_INVALID. */
  static of(schema: Schema): WireLayout {
    checkSchema(schema, "a wire value");
    return new WireLayout(schema);
  }

  /** Bytes that row `index` of `columns` takes: fewer than `byteLength` if it has a nil (L2). */
  lengthOf(columns: readonly Float64Array[], index: number): number {
    let length = this.byteLength;
    for (let i = 1; i < this.fields.length; i += 1) {
      const { kind } = this.fields[i]!;
      if (kind === "f64") continue;
      const value = columns[i - 1]![index]!;
      if (value !== value) length -= bytesOf[kind] - 1;
    }
    return length;
  }
}

/** Latest `ts`, ms: the last instant that a `Date` can hold. */
export const timeMsMax = 8.64e15;

/** Most items of an array whose count is part of its tag. */
export const shortArrayMax = 15;

const tagOf = { f64: 0xcb, i64: 0xd3, u64: 0xcf, u32: 0xce, bool: 0xc2 } as const;
const bytesOf = { f64: 9, i64: 9, u64: 9, u32: 5, bool: 1 } as const;
