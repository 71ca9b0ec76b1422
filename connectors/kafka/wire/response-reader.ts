import { QmtlError, readInt64 } from "../../../runtime/index.ts";

/**
 * Reads one answer in place.
 *
 *   R1  No byte outside of the frame is read: a read beyond it throws, whatever lies there.
 *   R2  A count is refused if its elements cannot fit into what is left.
 */
export class ResponseReader {
  #bytes = new Uint8Array(0);
  #view = new DataView(this.#bytes.buffer);
  #at = 0;
  #to = 0;
  #isKept = false;
  readonly #decoder = new TextDecoder();

  /** Begins with the frame `bytes[from, to)`; `view` is of the same bytes. */
  open(bytes: Uint8Array<ArrayBuffer>, view: DataView<ArrayBuffer>, range: FrameRange): void {
    this.#bytes = bytes;
    this.#view = view;
    this.#at = range.from;
    this.#to = range.to;
    this.#isKept = false;
  }

  /** True once `keepFrame` was called for this answer. */
  get isKept(): boolean {
    return this.#isKept;
  }

  /** Views on this answer stay valid while the next one is received. */
  keepFrame(): void {
    this.#isKept = true;
  }

  int8(): number {
    return this.#view.getInt8(this.#take(1));
  }

  int16(): number {
    return this.#view.getInt16(this.#take(2));
  }

  int32(): number {
    return this.#view.getInt32(this.#take(4));
  }

  int64(): number {
    return readInt64(this.#view, this.#take(8));
  }

  /** A string; empty for null. */
  string(): string {
    const length = this.int16();
    if (length <= 0) return "";
    const at = this.#take(length);
    return this.#decoder.decode(this.#bytes.subarray(at, at + length));
  }

  /** Bytes after their length i32, in place; empty for null. */
  bytes(): Uint8Array {
    const length = this.int32();
    const at = this.#take(Math.max(0, length));
    return this.#bytes.subarray(at, this.#at);
  }

  /** Count of an array whose elements have at least `elementBytesMin` bytes; 0 for null. */
  count(elementBytesMin: number): number {
    const count = this.int32();
    if (count * elementBytesMin > this.#to - this.#at)
      throw malformed(`it names ${count} elements`);
    return Math.max(0, count);
  }

  /** Moves over `length` bytes. */
  skip(length: number): void {
    this.#take(length);
  }

  #take(length: number): number {
    const at = this.#at;
    if (length < 0 || at + length > this.#to) throw malformed("it ends too early");
    this.#at = at + length;
    return at;
  }
}

/** Where a frame lies in the receive buffer. */
export interface FrameRange {
  readonly from: number;
  readonly to: number;
}

function malformed(found: string): QmtlError {
  return new QmtlError(
    "TRANSPORT_UNAVAILABLE",
    `Cannot read a broker's answer: ${found}, wanted a whole message of the version asked for`,
  );
}
