import { crc32c } from "../crc32c.ts";

/**
 * Record batch v2, where each field lies; all numbers big-endian.
 *
 *    0  base offset i64       21  attributes i16          43  producer id i64
 *    8  length i32 (from 12)  23  last offset delta i32   51  producer epoch i16
 *   12  leader epoch i32      27  base timestamp i64      53  base sequence i32
 *   16  magic i8 = 2          35  max timestamp i64       57  record count i32
 *   17  CRC-32C u32 (from 21)                             61  records, compressed as a whole
 *
 * A record: length, attributes (1 byte), timestamp delta, offset delta, key length (-1: null), key,
 * value length (-1: null), value, header count, headers; lengths, deltas and counts are zigzag
 * varints of at most 5 bytes, the timestamp delta of at most 10.
 */
export const batchField = {
  baseOffset: 0,
  length: 8,
  leaderEpoch: 12,
  magic: 16,
  crc: 17,
  attributes: 21,
  lastOffsetDelta: 23,
  baseTimestamp: 27,
  maxTimestamp: 35,
  producerId: 43,
  producerEpoch: 51,
  baseSequence: 53,
  recordCount: 57,
  records: 61,
} as const;

/** Bits of a batch's attributes. */
export const batchAttribute = {
  compression: 0x07,
  logAppendTime: 0x08,
  transactional: 0x10,
  control: 0x20,
} as const;

/** Who wrote a batch, as the broker checks it; -1 in each field for a plain producer. */
export interface ProducerStamp {
  readonly producerId: number;
  readonly producerEpoch: number;
  /** Sequence of the first record; the next batch's is this plus the record count, modulo 2^31. */
  readonly baseSequence: number;
}

/** The stamp of a producer that is not idempotent. */
export const plainProducer: ProducerStamp = { producerId: -1, producerEpoch: -1, baseSequence: -1 };

/** Reads the signed 64-bit integer at `at`; exact up to 2^53. BigInt would cost 4 times as much. */
export function readInt64(view: DataView, at: number): number {
  return view.getInt32(at) * 4_294_967_296 + view.getUint32(at + 4);
}

/** Writes the integer `value`, |value| <= 2^53, as 64 bits. */
export function writeInt64(view: DataView, at: number, value: number): void {
  view.setInt32(at, Math.floor(value / 4_294_967_296));
  view.setUint32(at + 4, value >>> 0);
}

/**
 * Puts `stamp` on an encoded batch in place and renews its CRC: a batch that was encoded once can
 * be sent again under a new epoch.
 */
export function stampBatch(batch: Uint8Array, stamp: ProducerStamp): void {
  const view = new DataView(batch.buffer, batch.byteOffset, batch.length);
  writeInt64(view, batchField.producerId, stamp.producerId);
  view.setInt16(batchField.producerEpoch, stamp.producerEpoch);
  view.setInt32(batchField.baseSequence, stamp.baseSequence);
  view.setUint32(batchField.crc, crc32c(batch, batchField.attributes, batch.length));
}

/** Gives an encoded batch its place in a log, as a broker does; the CRC does not cover it. */
export function placeBatch(batch: Uint8Array, baseOffset: number): void {
  writeInt64(new DataView(batch.buffer, batch.byteOffset), batchField.baseOffset, baseOffset);
}

/** Offsets an encoded batch takes up: what the next batch's base offset lies further on. */
export function batchOffsets(batch: Uint8Array): number {
  const view = new DataView(batch.buffer, batch.byteOffset);
  return view.getInt32(batchField.lastOffsetDelta) + 1;
}
