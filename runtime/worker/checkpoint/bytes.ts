import { crc32c } from "../../codec/crc32c.ts";
import { QmtlError } from "../../core/errors.ts";

/** First bytes of every piece: what it is, and the version of its form. */
const magic = 0x51_43_4b_31;
/** magic u32, CRC-32C of what follows u32. */
const headerBytes = 8;
const firstCapacity = 1 << 16;

/** Writes little-endian numbers into one buffer that grows and is reused. */
export class ByteWriter {
  #bytes = new Uint8Array(firstCapacity);
  #view = new DataView(this.#bytes.buffer);
  #length = headerBytes;

  /** Begins a new piece. */
  reset(): void {
    this.#length = headerBytes;
  }

  u32(value: number): void {
    this.#view.setUint32(this.#room(4), value, true);
  }

  f64(value: number): void {
    this.#view.setFloat64(this.#room(8), value, true);
  }

  /** `count` floats of `values` from `from` on. */
  floats(values: Float64Array, from: number, count: number): void {
    const at = this.#room(count * 8);
    for (let i = 0; i < count; i += 1) {
      this.#view.setFloat64(at + i * 8, values[from + i]!, true);
    }
  }

  bytes(value: Uint8Array): void {
    this.u32(value.length);
    this.#bytes.set(value, this.#room(value.length));
  }

  /** A place for a number that is known later: `setU32` fills it in. */
  holdU32(): number {
    return this.#room(4);
  }

  setU32(at: number, value: number): void {
    this.#view.setUint32(at, value, true);
  }

  /** The piece as bytes of its own, with its checksum. */
  finish(): Uint8Array {
    const crc = crc32c(this.#bytes, headerBytes, this.#length);
    this.#view.setUint32(0, magic, true);
    this.#view.setUint32(4, crc, true);
    return this.#bytes.slice(0, this.#length);
  }

  #room(bytes: number): number {
    const at = this.#length;
    this.#length += bytes;
    if (this.#length > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length));
      grown.set(this.#bytes);
      this.#bytes = grown;
      this.#view = new DataView(grown.buffer);
    }
    return at;
  }
}

/** Reads what `ByteWriter` wrote. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = headerBytes;

  /** @throws QmtlError CHECKPOINT_CORRUPT if the bytes are not a whole piece of a known form. */
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    if (bytes.length < headerBytes || this.#view.getUint32(0, true) !== magic) {
      throw corrupt(`${bytes.length} bytes of an unknown form`);
    }
    if (this.#view.getUint32(4, true) !== crc32c(bytes, headerBytes, bytes.length)) {
      throw corrupt("bytes that do not have their checksum");
    }
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  f64(): number {
    return this.#view.getFloat64(this.#take(8), true);
  }

  /** `count` floats into `values` from `to` on. */
  floats(values: Float64Array, to: number, count: number): void {
    const at = this.#take(count * 8);
    for (let i = 0; i < count; i += 1) values[to + i] = this.#view.getFloat64(at + i * 8, true);
  }

  bytes(): Uint8Array {
    const length = this.u32();
    const at = this.#take(length);
    return this.#bytes.subarray(at, at + length);
  }

  #take(bytes: number): number {
    const at = this.#at;
    if (at + bytes > this.#bytes.length) throw corrupt("a piece that ends too early");
    this.#at = at + bytes;
    return at;
  }
}

/** The error of state that can't be read. */
export function corrupt(found: string): QmtlError {
  return new QmtlError(
    "CHECKPOINT_CORRUPT",
    `Cannot restore a checkpoint: found ${found}, wanted what this version writes; drop the deployment's state to start anew`,
  );
}
