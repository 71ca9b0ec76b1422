import { readJson } from "./json-value.ts";
import { MsgpackValue } from "./msgpack-value.ts";
import { type ValueFault } from "./value-fault.ts";
import { timeMsMax, type WireLayout } from "./wire-layout.ts";

/**
 * The slow path: reads a value that is not in the layout's fixed form, if it is MessagePack or
 * JSON at all, to the same numbers. 0.2–2 µs a value, JSON allocates; the fast path is `WireRead`.
 *
 *   V1  Where `WireRead` is true, `decode` gives the same row.
 *   V2  Whatever the bytes are, `decode` returns; it reads nothing outside of the value.
 */
export class ValueDecoder {
  /** `ts` and the fields of the value decoded last; anything after a fault. */
  readonly values: Float64Array;
  readonly #layout: WireLayout;
  readonly #msgpack: MsgpackValue;

  constructor(layout: WireLayout) {
    this.#layout = layout;
    this.values = new Float64Array(layout.fields.length);
    this.#msgpack = new MsgpackValue(layout, this.values);
  }

  /**
   * Decodes `bytes[at, at + length)` into `values`.
   *
   * @returns the reason for the dead-letter topic if it is no record, else undefined.
   */
  decode(bytes: Uint8Array, at: number, length: number): ValueFault | undefined {
    if (length <= 0) return "empty";
    const fault = isJson(bytes[at]!)
      ? readJson(this.#layout, bytes.subarray(at, at + length), this.values)
      : this.#msgpack.read(bytes, at, length);
    if (fault !== undefined) return fault;
    const ts = this.values[0]!;
    if (ts !== ts) return "ts_missing";
    return ts > timeMsMax ? "ts_invalid" : undefined;
  }

  /** Copies the row where `WireRead` would have put it: field i to target[base + i * stride]. */
  copyTo(target: Float64Array, base: number, stride: number): void {
    for (let i = 0; i < this.values.length; i += 1) target[base + i * stride] = this.values[i]!;
  }
}

/** `{`, `[` or white space: in MessagePack these are small integers, and no record. */
function isJson(first: number): boolean {
  return (
    first === 0x7b ||
    first === 0x5b ||
    first === 0x20 ||
    first === 0x09 ||
    first === 0x0a ||
    first === 0x0d
  );
}
