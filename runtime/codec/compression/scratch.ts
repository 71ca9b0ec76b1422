import { QmtlError } from "../../core/errors.ts";

/** Why compressed bytes were refused; `reason` in the details of BATCH_CORRUPT. */
export type CompressionFault = "compressed_data" | "decompressed_size";

/** The error for compressed bytes that do not decode. */
export function compressionError(fault: CompressionFault, text: string): QmtlError {
  return new QmtlError("BATCH_CORRUPT", `Cannot decompress a record batch: ${text}`, {
    reason: fault,
  });
}

/**
 * Bytes written once and used until the next `clear`: memory that grows by doubling up to a limit
 * and is kept, so that after warm-up nothing is allocated for a batch.
 *
 *   R1  bytes[0, length) is written; length <= bytes.length <= bytesMax.
 */
export class Scratch {
  readonly #bytesMax: number;
  bytes = new Uint8Array(65_536);
  length = 0;

  /** `bytesMax`: most bytes it ever holds. */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Forgets what was written; the memory is kept. */
  clear(): void {
    this.length = 0;
  }

  /** The part that was written, a view valid until the next `clear`. */
  written(): Uint8Array {
    return this.bytes.subarray(0, this.length);
  }

  /**
   * Makes room for up to `count` more bytes, as far as the limit goes, where nobody knows yet how
   * many they will be; returns where the room ends in `bytes`.
   */
  reserveUpTo(count: number): number {
    const end = Math.min(this.length + count, this.#bytesMax);
    this.reserve(end - this.length);
    return end;
  }

  /**
   * Makes room for `count` more bytes and returns the memory to write them to, from `length` on.
   *
   * @throws QmtlError BATCH_CORRUPT `decompressed_size` if that is more than the limit.
   */
  reserve(count: number): Uint8Array {
    const wanted = this.length + count;
    if (wanted > this.#bytesMax) throw this.tooLong();
    if (wanted > this.bytes.length) {
      const grown = new Uint8Array(
        Math.min(this.#bytesMax, Math.max(wanted, this.bytes.length * 2)),
      );
      grown.set(this.bytes.subarray(0, this.length));
      this.bytes = grown;
    }
    return this.bytes;
  }

  /** The error for bytes that would need more than the limit. */
  tooLong(): QmtlError {
    return compressionError(
      "decompressed_size",
      `it holds more than ${this.#bytesMax} bytes, wanted at most that many`,
    );
  }
}
