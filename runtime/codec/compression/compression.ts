import type * as Zlib from "node:zlib";
import { QmtlError } from "../../core/errors.ts";
import { lz4Compress, lz4Decompress } from "./lz4.ts";
import { compressionError, Scratch } from "./scratch.ts";
import { snappyCompress, snappyDecompress } from "./snappy.ts";

/** Compressions of a record batch; the place in the list is the number on the wire. */
export const compressions = ["none", "gzip", "snappy", "lz4", "zstd"] as const;

/** Loaded when a batch needs it: most topics are read without. */
const zlib = (): typeof Zlib => process.getBuiltinModule("node:zlib");

/** Name of a compression. */
export type Compression = (typeof compressions)[number];

/**
 * Compresses and decompresses the records of batches. The result of a call is valid until the
 * next one: snappy and lz4 work in one kept buffer, gzip and zstd return memory of their own.
 *
 *   C1  No result is longer than `bytesMax`, whatever the input says: a small batch that unpacks
 *       to gigabytes is refused before they are allocated.
 */
export class Compressor {
  readonly #bytesMax: number;
  readonly #scratch: Scratch;

  /** `bytesMax`: most bytes of one result. */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
    this.#scratch = new Scratch(bytesMax);
  }

  /**
   * What `input` was before it was compressed.
   *
   * @throws QmtlError BATCH_CORRUPT (reason `compressed_data` or `decompressed_size`).
   */
  decompress(compression: Compression, input: Uint8Array): Uint8Array {
    this.#scratch.clear();
    switch (compression) {
      case "none":
        return input;
      case "snappy":
        snappyDecompress(input, this.#scratch);
        return this.#scratch.written();
      case "lz4":
        lz4Decompress(input, this.#scratch);
        return this.#scratch.written();
      case "gzip":
        return this.#unpack(() => zlib().gunzipSync(input, { maxOutputLength: this.#bytesMax }));
      case "zstd":
        return this.#unpack(() =>
          zlib().zstdDecompressSync(input, { maxOutputLength: this.#bytesMax }),
        );
    }
  }

  /** `input` compressed. @throws QmtlError BATCH_CORRUPT if the result is longer than `bytesMax`. */
  compress(compression: Compression, input: Uint8Array): Uint8Array {
    this.#scratch.clear();
    switch (compression) {
      case "none":
        return input;
      case "snappy":
        snappyCompress(input, this.#scratch);
        return this.#scratch.written();
      case "lz4":
        lz4Compress(input, this.#scratch);
        return this.#scratch.written();
      case "gzip":
        return zlib().gzipSync(input);
      case "zstd":
        return zlib().zstdCompressSync(input);
    }
  }

  #unpack(decode: () => Uint8Array): Uint8Array {
    try {
      return decode();
    } catch (error) {
      const isTooLong =
        error instanceof Error && "code" in error && error.code === "ERR_BUFFER_TOO_LARGE";
      throw isTooLong
        ? compressionError("decompressed_size", `it holds more than ${this.#bytesMax} bytes`)
        : compressionError(
            "compressed_data",
            error instanceof Error ? error.message : "unreadable",
          );
    }
  }
}

/** The compression with number `code` on the wire. @throws QmtlError CODEC_UNSUPPORTED. */
export function compressionOf(code: number): Compression {
  const name = compressions[code];
  if (name !== undefined) return name;
  throw new QmtlError(
    "CODEC_UNSUPPORTED",
    `Cannot decompress a record batch: its compression is number ${code}, wanted one of ${compressions.join(" ")}`,
    { code },
  );
}
