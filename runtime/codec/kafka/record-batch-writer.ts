import { assert } from "../../core/assert.ts";
import { type Compression, Compressor, compressions } from "../compression/compression.ts";
import {
  batchAttribute,
  batchField,
  type ProducerStamp,
  plainProducer,
  stampBatch,
  writeInt64,
} from "./record-batch.ts";

/** How a batch is closed. */
export interface FinishOptions {
  /** Default: a plain producer, -1 in each field. */
  readonly producer?: ProducerStamp;
  /** Default `none`. */
  readonly compression?: Compression;
}

/**
 * Encodes records into one record batch v2, in one buffer that is reused for the next.
 *
 * Life: `reserve` or `append` any number of times, then `finish`, then `reset` when the bytes are
 * no longer needed (the broker acknowledged them); between `finish` and `reset` it only waits.
 *
 *   P1  bytes[0, length) is the header's room and whole records; length <= bytesMax.
 *   P2  The batch from `finish` stays as it is until `reset`: a resend is the same bytes.
 *   P3  Nothing is allocated per record; a `finish` with gzip or zstd allocates its result.
 */
export class RecordBatchWriter {
  /** The buffer, and a view of it: values are encoded straight into it after `reserve`. */
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly #compressor: Compressor;
  #packed = noBytes;
  #isFinished = false;
  #length: number = batchField.records;
  #count = 0;
  #nextDelta = 0;
  #baseTimestampMs = 0;
  #maxTimestampMs = 0;
  /** State before the last `reserve`. */
  #undoLength: number = batchField.records;
  #undoMaxMs = 0;

  /**
   * `bytesMax`: bytes of a batch before compression, header included.
   *
   * @throws RangeError if it is not an integer from 1,024 to 2^30.
   */
  constructor(bytesMax: number) {
    if (!Number.isInteger(bytesMax) || bytesMax < 1_024 || bytesMax > 2 ** 30) {
      throw new RangeError(
        `Cannot size a record batch: bytesMax is ${bytesMax}, wanted an integer from 1024 to 2^30`,
      );
    }
    this.bytes = new Uint8Array(bytesMax);
    this.view = new DataView(this.bytes.buffer);
    this.#compressor = new Compressor(bytesMax * 2);
  }

  /** Records in the batch. */
  get count(): number {
    return this.#count;
  }

  /** Bytes of the batch before compression, header included. */
  get length(): number {
    return this.#length;
  }

  /** Time of the newest record, ms; meaningful once `count` >= 1. */
  get maxTimestampMs(): number {
    return this.#maxTimestampMs;
  }

  /**
   * Adds a record whose value the caller writes: returns where in `bytes` its `valueLength` bytes
   * go, or -1 if the batch has no room for it, and then nothing has changed.
   */
  reserve(timestampMs: number, key: Uint8Array | undefined, valueLength: number): number {
    return this.#add(timestampMs, key, valueLength);
  }

  /** Adds a record with a copy of `value`, undefined for null; false if there is no room for it. */
  append(timestampMs: number, key: Uint8Array | undefined, value: Uint8Array | undefined): boolean {
    const at = this.#add(timestampMs, key, value === undefined ? -1 : value.length);
    if (at >= 0 && value !== undefined) this.bytes.set(value, at);
    return at >= 0;
  }

  /** Takes back the last `reserve` or `append`, once: its value turned out not to be encodable. */
  undo(): void {
    assert(this.#undoLength < this.#length && !this.#isFinished, "there is a record to take back");
    this.#length = this.#undoLength;
    this.#maxTimestampMs = this.#undoMaxMs;
    this.#count -= 1;
    this.#nextDelta -= 1;
  }

  /** Leaves `count` offsets without a record: for copying a log that was compacted. */
  skipOffsets(count: number): void {
    assert(count >= 0 && !this.#isFinished, "offsets are skipped forward, before finish()");
    this.#nextDelta += count;
    this.#undoLength = this.#length;
  }

  /**
   * Closes the batch: header, compression and CRC. The result is valid until `reset`.
   *
   * @throws QmtlError BATCH_CORRUPT if `bytesMax` is not enough for what compression made of it.
   */
  finish({ producer = plainProducer, compression = "none" }: FinishOptions = {}): Uint8Array {
    assert(this.#count > 0 && !this.#isFinished, "a batch with records is finished once");
    const batch = this.#pack(compression);
    const view = new DataView(batch.buffer, batch.byteOffset, batch.length);
    writeInt64(view, batchField.baseOffset, 0);
    view.setInt32(batchField.length, batch.length - batchField.leaderEpoch);
    view.setInt32(batchField.leaderEpoch, -1);
    view.setInt8(batchField.magic, 2);
    const code = compressions.indexOf(compression) & batchAttribute.compression;
    view.setInt16(batchField.attributes, code);
    view.setInt32(batchField.lastOffsetDelta, this.#nextDelta - 1);
    writeInt64(view, batchField.baseTimestamp, this.#baseTimestampMs);
    writeInt64(view, batchField.maxTimestamp, this.#maxTimestampMs);
    view.setInt32(batchField.recordCount, this.#count);
    stampBatch(batch, producer);
    this.#isFinished = true;
    return batch;
  }

  /** Begins an empty batch. */
  reset(): void {
    this.#isFinished = false;
    this.#length = batchField.records;
    this.#undoLength = batchField.records;
    this.#count = 0;
    this.#nextDelta = 0;
  }

  #add(timestampMs: number, key: Uint8Array | undefined, valueLength: number): number {
    assert(!this.#isFinished, "a finished batch is reset before it is written to");
    const delta = this.#count === 0 ? 0 : timestampMs - this.#baseTimestampMs;
    const keyLength = key === undefined ? -1 : key.length;
    const keyBytes = Math.max(0, keyLength);
    const valueBytes = Math.max(0, valueLength);
    const body =
      2 + // attributes, and no headers
      zigzagBytes(delta) +
      zigzagBytes(this.#nextDelta) +
      zigzagBytes(keyLength) +
      keyBytes +
      zigzagBytes(valueLength) +
      valueBytes;
    const start = this.#length;
    if (start + zigzagBytes(body) + body > this.bytes.length) return -1;
    this.#undoLength = start;
    this.#undoMaxMs = this.#maxTimestampMs;
    if (this.#count === 0) this.#baseTimestampMs = timestampMs;
    this.#maxTimestampMs =
      this.#count === 0 ? timestampMs : Math.max(this.#maxTimestampMs, timestampMs);
    let at = this.#varint(start, body);
    this.bytes[at] = 0;
    at = this.#varint(at + 1, delta);
    at = this.#varint(at, this.#nextDelta);
    at = this.#varint(at, keyLength);
    if (key !== undefined) this.#putKey(key, at);
    const valueAt = this.#varint(at + keyBytes, valueLength);
    this.bytes[valueAt + valueBytes] = 0;
    this.#length = valueAt + valueBytes + 1;
    this.#count += 1;
    this.#nextDelta += 1;
    return valueAt;
  }

  /** Keys are short: a loop beats a call of `set`. */
  #putKey(key: Uint8Array, at: number): void {
    const { bytes } = this;
    for (let i = 0; i < key.length; i += 1) bytes[at + i] = key[i]!;
  }

  /** Writes `value` as a zigzag varint at `start`; returns its end. |value| <= 2^52. */
  #varint(start: number, value: number): number {
    const { bytes } = this;
    let at = start;
    let rest = value >= 0 ? value * 2 : value * -2 - 1;
    for (; rest >= 2 ** 31; rest = Math.floor(rest / 128)) {
      bytes[at] = (rest % 128) | 128;
      at += 1;
    }
    let low = rest | 0;
    for (; low > 127; low >>>= 7) {
      bytes[at] = (low & 127) | 128;
      at += 1;
    }
    bytes[at] = low;
    return at + 1;
  }

  /** Header's room and the records as they go on the wire. */
  #pack(compression: Compression): Uint8Array {
    if (compression === "none") return this.bytes.subarray(0, this.#length);
    const records = this.bytes.subarray(batchField.records, this.#length);
    const packed = this.#compressor.compress(compression, records);
    const length = batchField.records + packed.length;
    if (this.#packed.length < length) this.#packed = new Uint8Array(length * 2);
    this.#packed.set(packed, batchField.records);
    return this.#packed.subarray(0, length);
  }
}

const noBytes = new Uint8Array(0);

/** Bytes of `value` as a zigzag varint. */
function zigzagBytes(value: number): number {
  const zigzag = value >= 0 ? value * 2 : value * -2 - 1;
  if (zigzag < 128) return 1;
  if (zigzag < 16_384) return 2;
  if (zigzag < 2_097_152) return 3;
  let count = 4;
  for (let rest = zigzag / 2 ** 28; rest >= 1; rest /= 128) count += 1;
  return count;
}
