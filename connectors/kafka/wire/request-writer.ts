import { writeInt64 } from "../../../runtime/index.ts";

/** One kind of request in the one version we speak. */
export interface Api {
  readonly name: string;
  readonly key: number;
  /** Below the version where the message's "flexible" encoding begins: one encoding for all. */
  readonly version: number;
}

/**
 * Encodes one request at a time into one buffer that is used again for the next.
 *
 *   length i32 (of what follows) · api key i16 · api version i16 · correlation id i32
 *   client id string · the message's own fields
 *
 * A string is its length in bytes i16 and UTF-8; an array its count i32 and its elements.
 */
export class RequestWriter {
  #bytes = new Uint8Array(4_096);
  #view = new DataView(this.#bytes.buffer);
  #at = 0;
  readonly #encoder = new TextEncoder();

  /** Begins a request. */
  begin(api: Api, correlationId: number, clientId: string): void {
    this.#at = 4;
    this.int16(api.key);
    this.int16(api.version);
    this.int32(correlationId);
    this.string(clientId);
  }

  /** Ends the request; the bytes are valid until the next `begin`. */
  finish(): Uint8Array {
    this.#view.setInt32(0, this.#at - 4);
    return this.#bytes.subarray(0, this.#at);
  }

  int8(value: number): void {
    this.#view.setInt8(this.#take(1), value);
  }

  int16(value: number): void {
    this.#view.setInt16(this.#take(2), value);
  }

  int32(value: number): void {
    this.#view.setInt32(this.#take(4), value);
  }

  /** |value| <= 2^53. */
  int64(value: number): void {
    writeInt64(this.#view, this.#take(8), value);
  }

  /** A string, or null for undefined. */
  string(value: string | undefined): void {
    if (value === undefined) {
      this.int16(-1);
      return;
    }
    const bytes = this.#encoder.encode(value);
    this.int16(bytes.length);
    this.raw(bytes);
  }

  /** Length i32 and the bytes. */
  bytes(value: Uint8Array): void {
    this.int32(value.length);
    this.raw(value);
  }

  /** The bytes alone. */
  raw(value: Uint8Array): void {
    const at = this.#take(value.length);
    this.#bytes.set(value, at);
  }

  #take(length: number): number {
    const at = this.#at;
    this.#at = at + length;
    if (this.#at > this.#bytes.length) this.#grow(this.#at);
    return at;
  }

  #grow(length: number): void {
    const bytes = new Uint8Array(2 ** Math.ceil(Math.log2(length)));
    bytes.set(this.#bytes);
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer);
  }
}
