import { QmtlError } from "../../core/errors.ts";
import { type Compression, Compressor, compressionOf } from "../compression/compression.ts";
import { crc32c } from "../crc32c.ts";
import { batchAttribute, batchField, readInt64 } from "./record-batch.ts";
import { RecordWalk, recordBytesLeast, type WalkFault } from "./record-walk.ts";

/** Limits and checks of a reader. */
export interface RecordBatchReaderOptions {
  /** Bytes of one batch on the wire, at most (default 128 MiB). */
  readonly batchBytesMax?: number;
  /** Bytes of one batch's records once decompressed, at most (default 128 MiB). */
  readonly decompressedBytesMax?: number;
  /** Records of one batch, at most (default 2^20: 42 MiB of columns at worst). */
  readonly batchRecordsMax?: number;
  /** Off only for bytes that never left this process. Default on. */
  readonly checksCrc?: boolean;
}

/** What a control batch says about its producer's transaction. */
export type ControlKind = "abort" | "commit" | "other";

type Fault =
  | WalkFault
  | "magic"
  | "batch_length"
  | "crc"
  | "record_count"
  | "offset"
  | "compressed_data"
  | "decompressed_size";

/**
 * Walks the record batches of a fetch in place: `open`, then `next` until it is false. The
 * columns of the current batch are in `records`; they and `bytes` are valid until the next call.
 *
 *   B1  A batch that the region holds only a part of is left alone: `next` is false, `at` is where
 *       it begins. If `at` never moved although bytes are there, the fetch was too small.
 *   B2  Anything else that is not a whole, sound batch throws BATCH_CORRUPT; `at` stays.
 *   B3  Nothing outside of the region is read, and no result depends on it.
 *   B4  Ranges in `records` index `bytes`, which is the region's array, or the decompressed
 *       records where the batch was compressed.
 *
 * Cost: 10–20 ns a record and the CRC; no object a record.
 */
export class RecordBatchReader {
  readonly records = new RecordWalk();
  /** The array that `records` points into, and a view of the same bytes from index 0. */
  bytes: Uint8Array = noBytes;
  view: DataView = new DataView(noBytes.buffer);
  /** Where the next batch begins in the region's array. */
  at = 0;

  count = 0;
  baseOffset = 0;
  /** Offset after the batch, also where compaction removed its last records. */
  nextOffset = 0;
  leaderEpoch = -1;
  maxTimestampMs = -1;
  producerId = -1;
  producerEpoch = -1;
  baseSequence = -1;
  compression: Compression = "none";
  isTransactional = false;
  isControl = false;

  readonly #batchBytesMax: number;
  readonly #batchRecordsMax: number;
  readonly #checksCrc: boolean;
  readonly #compressor: Compressor;
  #source: Uint8Array = noBytes;
  #sourceView: DataView = new DataView(noBytes.buffer);
  #to = 0;

  constructor(options: RecordBatchReaderOptions = {}) {
    this.#batchBytesMax = options.batchBytesMax ?? 128 << 20;
    this.#batchRecordsMax = options.batchRecordsMax ?? 1 << 20;
    this.#checksCrc = options.checksCrc ?? true;
    this.#compressor = new Compressor(options.decompressedBytesMax ?? 128 << 20);
  }

  /** Begins with the batches in `bytes[from, to)`. */
  open(bytes: Uint8Array, from = 0, to: number = bytes.length): void {
    if (from < 0 || to > bytes.length || from > to) {
      throw new RangeError(`Cannot read batches: [${from}, ${to}) is not in ${bytes.length} bytes`);
    }
    if (bytes !== this.#source) {
      this.#source = bytes;
      this.#sourceView = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    }
    this.at = from;
    this.#to = to;
    this.count = 0;
  }

  /**
   * Reads the next batch; false if the region has no whole one left (B1).
   *
   * @throws QmtlError BATCH_CORRUPT (details: reason, offset, position), CODEC_UNSUPPORTED.
   */
  next(): boolean {
    const length = this.#lengthOfNext();
    if (length < 0) return false;
    const start = this.at;
    const end = start + batchField.leaderEpoch + length;
    const view = this.#sourceView;
    if (this.#checksCrc) {
      const wanted = view.getUint32(start + batchField.crc);
      if (crc32c(this.#source, start + batchField.attributes, end) !== wanted) {
        throw this.#corrupt("crc", "its bytes do not have the checksum it names");
      }
    }
    this.#readHeader(start);
    const attributes = view.getInt16(start + batchField.attributes);
    const lastOffsetDelta = view.getInt32(start + batchField.lastOffsetDelta);
    const baseTimestamp = readInt64(view, start + batchField.baseTimestamp);
    const { baseOffset } = this;
    if (!Number.isSafeInteger(baseOffset) || baseOffset < 0 || lastOffsetDelta < 0) {
      throw this.#corrupt("offset", `it goes from ${baseOffset} on by ${lastOffsetDelta}`);
    }
    if (!Number.isSafeInteger(baseTimestamp)) {
      throw this.#corrupt("record_timestamp", `its first timestamp is ${baseTimestamp}`);
    }
    const [from, to] = this.#unpack(start + batchField.records, end);
    const count = view.getInt32(start + batchField.recordCount);
    this.#checkCount(count, to - from);
    const { bytes } = this;
    const range = { bytes, from, to, count, baseOffset, lastOffsetDelta, baseTimestamp };
    const fault = this.records.walk(range);
    if (fault !== undefined) throw this.#corrupt(fault, "a record does not fit its bytes");
    if ((attributes & batchAttribute.logAppendTime) !== 0) {
      this.records.timestampMs.fill(this.maxTimestampMs, 0, count);
    }
    this.count = count;
    this.nextOffset = baseOffset + lastOffsetDelta + 1;
    this.at = end;
    return true;
  }

  /** What the current control batch says: its first record's key is version i16, type i16. */
  controlKind(): ControlKind {
    const { records, view } = this;
    if (!this.isControl || this.count === 0 || records.keyLength[0]! < 4) return "other";
    const type = view.getInt16(records.keyAt[0]! + 2);
    return type === 0 ? "abort" : type === 1 ? "commit" : "other";
  }

  /** Drops the references to the bytes that were read. */
  close(): void {
    this.open(noBytes);
    this.records.release();
    this.bytes = noBytes;
    this.view = this.#sourceView;
  }

  /** Length field of the batch at `at`; -1 if it is not there whole. */
  #lengthOfNext(): number {
    const left = this.#to - this.at;
    const view = this.#sourceView;
    if (left > batchField.magic && this.#source[this.at + batchField.magic] !== 2) {
      throw this.#corrupt("magic", `its format is ${view.getInt8(this.at + batchField.magic)}`);
    }
    if (left < batchField.leaderEpoch) return -1;
    const length = view.getInt32(this.at + batchField.length);
    const bytes = length + batchField.leaderEpoch;
    if (bytes < batchField.records || bytes > this.#batchBytesMax) {
      throw this.#corrupt(
        "batch_length",
        `it has ${bytes} bytes, wanted ${batchField.records} to ${this.#batchBytesMax}`,
      );
    }
    return bytes <= left ? length : -1;
  }

  #readHeader(start: number): void {
    const view = this.#sourceView;
    const attributes = view.getInt16(start + batchField.attributes);
    this.count = 0;
    this.baseOffset = readInt64(view, start + batchField.baseOffset);
    this.leaderEpoch = view.getInt32(start + batchField.leaderEpoch);
    this.maxTimestampMs = readInt64(view, start + batchField.maxTimestamp);
    this.producerId = readInt64(view, start + batchField.producerId);
    this.producerEpoch = view.getInt16(start + batchField.producerEpoch);
    this.baseSequence = view.getInt32(start + batchField.baseSequence);
    this.compression = compressionOf(attributes & batchAttribute.compression);
    this.isTransactional = (attributes & batchAttribute.transactional) !== 0;
    this.isControl = (attributes & batchAttribute.control) !== 0;
  }

  /** Sets `bytes` to what holds the records and returns where in it they are. */
  #unpack(from: number, to: number): readonly [from: number, to: number] {
    if (this.compression === "none") {
      this.bytes = this.#source;
      this.view = this.#sourceView;
      return [from, to];
    }
    const packed = this.#source.subarray(from, to);
    try {
      const bytes = this.#compressor.decompress(this.compression, packed);
      this.bytes = bytes;
      this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
      return [0, bytes.length];
    } catch (error) {
      const isTooLong =
        error instanceof QmtlError && error.details["reason"] === "decompressed_size";
      const reason = isTooLong ? "decompressed_size" : "compressed_data";
      throw this.#corrupt(reason, error instanceof Error ? error.message : "unreadable");
    }
  }

  #checkCount(count: number, bytes: number): void {
    if (count >= 0 && count <= this.#batchRecordsMax && count * recordBytesLeast <= bytes) return;
    throw this.#corrupt(
      "record_count",
      `it names ${count} records in ${bytes} bytes, wanted 0 to ${this.#batchRecordsMax} that fit`,
    );
  }

  #corrupt(reason: Fault, text: string): QmtlError {
    const { at } = this;
    const offset = at + 8 <= this.#to ? readInt64(this.#sourceView, at) : -1;
    return new QmtlError(
      "BATCH_CORRUPT",
      `Cannot read the record batch at offset ${offset}: ${text}, wanted a sound batch of format 2`,
      { reason, offset, position: at },
    );
  }
}

const noBytes = new Uint8Array(0);
