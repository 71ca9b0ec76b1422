import { QmtlError } from "../../runtime/index.ts";

/**
 * Header of a Kafka record batch v2 (big-endian), as far as a log must read it:
 *
 *   0 baseOffset i64 · 8 batchLength i32 (bytes after it) · 16 magic i8 = 2 · 17 crc u32
 *   21 attributes i16 (bits 0-2 compression) · 23 lastOffsetDelta i32 · 27 baseTimestamp i64
 *   35 maxTimestamp i64 · 57 record count i32 · 61 records
 *
 * The checksum covers bytes 21 and on, so the base offset can be set without touching it.
 */
export interface BatchHeader {
  readonly recordCount: number;
  /** ms since epoch. */
  readonly baseTimeMs: number;
  readonly timeMsMax: number;
}

const headerBytes = 61;

/**
 * Reads the header of `bytes`, which must be one whole batch.
 *
 * @throws QmtlError TRANSPORT_REJECTED for anything else.
 */
export function readBatchHeader(bytes: Uint8Array): BatchHeader {
  if (bytes.length < headerBytes) {
    throw rejected(`it has ${bytes.length} bytes, wanted at least ${headerBytes}`);
  }
  const view = viewOf(bytes);
  const magic = view.getInt8(16);
  if (magic !== 2) throw rejected(`its format is ${magic}, wanted 2`);
  const length = 12 + view.getInt32(8);
  if (length !== bytes.length) {
    throw rejected(`its header says ${length} bytes, wanted the ${bytes.length} that were given`);
  }
  const recordCount = view.getInt32(57);
  if (recordCount < 1 || view.getInt32(23) !== recordCount - 1) {
    throw rejected(
      `it has ${recordCount} records and last offset ${view.getInt32(23)}, wanted at least 1 record and offsets 0 to count - 1`,
    );
  }
  return {
    recordCount,
    baseTimeMs: Number(view.getBigInt64(27)),
    timeMsMax: Number(view.getBigInt64(35)),
  };
}

/** Sets the offset of the batch's first record; the checksum stays right. */
export function setBaseOffset(bytes: Uint8Array, offset: number): void {
  viewOf(bytes).setBigInt64(0, BigInt(offset));
}

/**
 * Place in the batch of the first record whose time is >= `timeMs`, the record count if there is
 * none; 0 in a compressed batch, which is only a lower bound, as with Kafka's own index.
 */
export function recordAtTime(bytes: Uint8Array, timeMs: number): number {
  const { recordCount, baseTimeMs } = readBatchHeader(bytes);
  if ((viewOf(bytes).getInt16(21) & 7) !== 0) return 0;
  const cursor = { bytes, at: headerBytes };
  for (let i = 0; i < recordCount; i += 1) {
    const length = readVarint(cursor);
    const end = cursor.at + length;
    cursor.at += 1;
    if (baseTimeMs + readVarint(cursor) >= timeMs) return i;
    cursor.at = end;
  }
  return recordCount;
}

/** A zigzag varint of up to 53 bits. */
function readVarint(cursor: { readonly bytes: Uint8Array; at: number }): number {
  let raw = 0;
  for (let factor = 1; ; factor *= 128) {
    const byte = cursor.bytes[cursor.at] ?? 0;
    cursor.at += 1;
    raw += (byte & 127) * factor;
    if (byte < 128) return raw % 2 === 0 ? raw / 2 : -(raw + 1) / 2;
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function rejected(fault: string): QmtlError {
  return new QmtlError("TRANSPORT_REJECTED", `Cannot produce a record batch: ${fault}`);
}
