import { KeyTable } from "../key-table.ts";
import { faultOfNumber, type ValueFault } from "./value-fault.ts";
import { type WireLayout } from "./wire-layout.ts";

/** What an item is, once its tag is read. */
type Item = "number" | "bool" | "nil" | "string" | "array" | "map" | "other";

/**
 * Reads any well-formed MessagePack array or map as a record, in place and without recursion: an
 * item costs at least one byte, so neither a nested nor an endless count costs more than the
 * value is long. Own code and not a package: those make what a header promises (an array of 2^32
 * items) and round 64-bit integers before anyone can see that they were too large.
 *
 *   M1  No byte outside of the value is read.
 *   M2  An array has exactly `ts` and the schema's fields; a map names them: `ts` is there, others
 *       may be missing (NaN), what the schema does not name is skipped; of two of one name both
 *       are checked and the last wins.
 */
export class MsgpackValue {
  readonly #layout: WireLayout;
  readonly #names: KeyTable;
  readonly #values: Float64Array;
  #bytes: Uint8Array = noBytes;
  #view: DataView = new DataView(noBytes.buffer);
  #at = 0;
  #end = 0;
  /** Of the last item: its number, or the count or length that its head names. */
  #number = 0;
  #isUnsafe = false;

  /** `values` receives `ts` and the fields. */
  constructor(layout: WireLayout, values: Float64Array) {
    this.#layout = layout;
    this.#values = values;
    this.#names = new KeyTable({ keysMax: layout.fields.length });
    for (const { name } of layout.fields) {
      const bytes = new TextEncoder().encode(name);
      this.#names.slotOf(bytes, 0, bytes.length);
    }
  }

  /** Reads `bytes[at, at + length)`; returns why it could not, undefined if it did. */
  read(bytes: Uint8Array, at: number, length: number): ValueFault | undefined {
    if (bytes !== this.#bytes) {
      this.#bytes = bytes;
      this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    }
    this.#at = at;
    this.#end = at + length;
    this.#values.fill(Number.NaN);
    const head = this.#item();
    const count = this.#number;
    const fault =
      head === "array"
        ? this.#array(count)
        : head === "map"
          ? this.#map(count)
          : (headFault(head) ?? "not_a_record");
    return fault ?? (this.#at === this.#end ? undefined : "trailing_bytes");
  }

  #array(count: number): ValueFault | undefined {
    if (count !== this.#layout.fields.length) return "field_count";
    for (let i = 0; i < count; i += 1) {
      const fault = this.#field(i);
      if (fault !== undefined) return fault;
    }
    return undefined;
  }

  #map(count: number): ValueFault | undefined {
    for (let i = 0; i < count; i += 1) {
      const key = this.#item();
      const length = this.#number;
      const isText = key === "string";
      const slot = isText ? this.#names.slotOf(this.#bytes, this.#at, length) : -1;
      const fault =
        this.#skipRest(key) ?? (slot < 0 ? this.#skipRest(this.#item()) : this.#field(slot));
      if (fault !== undefined) return fault;
    }
    return undefined;
  }

  /** Reads the next item as field `i`. */
  #field(i: number): ValueFault | undefined {
    const { kind } = this.#layout.fields[i]!;
    const item = this.#item();
    if (item === "nil") {
      this.#values[i] = Number.NaN;
      return undefined;
    }
    if (item !== "number" && (item !== "bool" || kind !== "bool")) {
      return headFault(item) ?? "wrong_type";
    }
    if (this.#isUnsafe) return "unsafe_integer";
    this.#values[i] = this.#number + 0;
    return faultOfNumber(kind, this.#number);
  }

  /** Passes over what is left of an item whose head was just read, and all it holds. */
  #skipRest(first: Item | ValueFault): ValueFault | undefined {
    let item = first;
    for (let left = 1; ; item = this.#item()) {
      const fault = headFault(item);
      if (fault !== undefined) return fault;
      if (item === "string" || item === "other") this.#at += this.#number;
      else if (item === "array") left += this.#number;
      else if (item === "map") left += this.#number * 2;
      left -= 1;
      if (left === 0) return undefined;
    }
  }

  /**
   * Reads the head of the next item, and all of it if it is a number; `#number` is its number,
   * count or length. A string's bytes are in the value.
   */
  #item(): Item | ValueFault {
    if (this.#at >= this.#end) return "truncated";
    const tag = this.#bytes[this.#at]!;
    this.#at += 1;
    this.#isUnsafe = false;
    if (tag < 0x80 || tag >= 0xe0) return this.#is("number", tag < 0x80 ? tag : tag - 256);
    if (tag < 0x90) return this.#is("map", tag & 15);
    if (tag < 0xa0) return this.#is("array", tag & 15);
    if (tag < 0xc0) return this.#body("string", tag & 31);
    const width = widthOf[tag - 0xc0]!;
    if (width > this.#end - this.#at) return "truncated";
    const at = this.#at;
    this.#at += width;
    return this.#wide(tag, at, width);
  }

  /** An item whose tag, 0xc0 to 0xdf, is followed by `width` bytes at `at`. */
  #wide(tag: number, at: number, width: number): Item | ValueFault {
    const view = this.#view;
    switch (tag) {
      case 0xc0:
        return "nil";
      case 0xc1:
        return "invalid_msgpack";
      case 0xc2:
      case 0xc3:
        return this.#is("bool", tag & 1);
      case 0xca:
        return this.#is("number", view.getFloat32(at));
      case 0xcb:
        return this.#is("number", view.getFloat64(at));
      case 0xcf:
        return this.#integer(view.getUint32(at), view.getUint32(at + 4));
      case 0xd3:
        return this.#integer(view.getInt32(at), view.getUint32(at + 4));
      default:
        return this.#counted(tag, this.#unsigned(at, width));
    }
  }

  /** Narrow integers, and what has a length or a count. */
  #counted(tag: number, value: number): Item | ValueFault {
    if (tag >= 0xcc && tag <= 0xce) return this.#is("number", value);
    if (tag >= 0xd0 && tag <= 0xd2) {
      const bits = 8 << (tag - 0xd0);
      return this.#is("number", value >= 2 ** (bits - 1) ? value - 2 ** bits : value);
    }
    if (tag === 0xdc || tag === 0xdd) return this.#is("array", value);
    if (tag === 0xde || tag === 0xdf) return this.#is("map", value);
    if (tag >= 0xd9) return this.#body("string", value);
    return this.#body("other", otherLength(tag, value));
  }

  #is(item: Item, value: number): Item {
    this.#number = value;
    return item;
  }

  /** An item of `length` more bytes. */
  #body(item: Item, length: number): Item | ValueFault {
    return length > this.#end - this.#at ? "truncated" : this.#is(item, length);
  }

  #integer(high: number, low: number): Item {
    const value = high * 4_294_967_296 + low;
    this.#isUnsafe = Math.abs(value) >= 2 ** 53 && !(Math.abs(high) === 0x200000 && low === 0);
    return this.#is("number", value);
  }

  #unsigned(at: number, width: number): number {
    const view = this.#view;
    return width === 1
      ? view.getUint8(at)
      : width === 2
        ? view.getUint16(at)
        : width === 4
          ? view.getUint32(at)
          : 0;
  }
}

const noBytes = new Uint8Array(0);

/** Bytes that follow the tags 0xc0 to 0xdf: a number, a count or a length. */
const widthOf = [
  0, 0, 0, 0, 1, 2, 4, 1, 2, 4, 4, 8, 1, 2, 4, 8, 1, 2, 4, 8, 0, 0, 0, 0, 0, 1, 2, 4, 2, 4, 2, 4,
] as const;

/** Bytes of a bin, or of an extension and the byte of its type. */
function otherLength(tag: number, value: number): number {
  if (tag >= 0xd4) return 1 + 2 ** (tag - 0xd4);
  return tag >= 0xc7 ? value + 1 : value;
}

const items: ReadonlySet<string> = new Set<Item>([
  "number",
  "bool",
  "nil",
  "string",
  "array",
  "map",
  "other",
]);

function headFault(head: Item | ValueFault): ValueFault | undefined {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what is no item is a fault
  return items.has(head) ? undefined : (head as ValueFault);
}
