/**
 * Kafka record batches v2, written and read in the plainest way: an oracle for the suites that
 * shares nothing with runtime/codec.
 */

/** A record as a test names it. */
export interface TestRecord {
  readonly key: string | null;
  readonly value: string;
  readonly timeMs: number;
}

/** A record as it is fetched. */
export interface FetchedRecord extends TestRecord {
  readonly offset: number;
}

/** One batch of `records`, uncompressed, with base offset 0 and a right checksum. */
export function encodeBatch(records: readonly TestRecord[]): Uint8Array {
  const baseMs = records[0]?.timeMs ?? 0;
  const body = records.flatMap((record, i) => {
    const fields = [
      0,
      ...varint(record.timeMs - baseMs),
      ...varint(i),
      ...(record.key === null ? varint(-1) : text(record.key)),
      ...text(record.value),
      ...varint(0),
    ];
    return [...varint(fields.length), ...fields];
  });
  const bytes = new Uint8Array(61 + body.length);
  const view = new DataView(bytes.buffer);
  view.setInt32(8, bytes.length - 12);
  view.setInt8(16, 2);
  view.setInt32(23, records.length - 1);
  view.setBigInt64(27, BigInt(baseMs));
  view.setBigInt64(35, BigInt(Math.max(...records.map((record) => record.timeMs))));
  view.setBigInt64(43, -1n);
  view.setInt16(51, -1);
  view.setInt32(53, -1);
  view.setInt32(57, records.length);
  bytes.set(body, 61);
  view.setUint32(17, checksum(bytes.subarray(21)));
  return bytes;
}

/**
 * The records of whole batches after each other.
 *
 * @throws Error if a batch is cut or its checksum is wrong.
 */
export function decodeBatches(bytes: Uint8Array): readonly FetchedRecord[] {
  const records: FetchedRecord[] = [];
  for (let at = 0; at < bytes.length; ) {
    const view = new DataView(bytes.buffer, bytes.byteOffset + at);
    const batch = bytes.subarray(at, at + 12 + view.getInt32(8));
    if (batch.length !== 12 + view.getInt32(8)) throw new Error("a batch is cut");
    if (checksum(batch.subarray(21)) !== view.getUint32(17)) throw new Error("a checksum is wrong");
    const cursor = { bytes: batch, at: 61 };
    for (let i = 0; i < view.getInt32(57); i += 1) {
      read(cursor);
      cursor.at += 1;
      const timeMs = Number(view.getBigInt64(27)) + read(cursor);
      const offset = Number(view.getBigInt64(0)) + read(cursor);
      const key = readText(cursor);
      const value = readText(cursor) ?? "";
      if (read(cursor) !== 0) throw new Error("a record has headers");
      records.push({ key, value, timeMs, offset });
    }
    at += batch.length;
  }
  return records;
}

/** CRC-32C, bit by bit. */
function checksum(bytes: Uint8Array): number {
  let crc = 0xffff_ffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f6_3b78 : 0);
  }
  return (crc ^ 0xffff_ffff) >>> 0;
}

function varint(value: number): number[] {
  let rest = BigInt.asUintN(64, BigInt(value) * 2n) ^ (value < 0 ? 0xffff_ffff_ffff_ffffn : 0n);
  const bytes: number[] = [];
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  return [...bytes, Number(rest)];
}

function text(value: string): number[] {
  const bytes = new TextEncoder().encode(value);
  return [...varint(bytes.length), ...bytes];
}

function read(cursor: { readonly bytes: Uint8Array; at: number }): number {
  let raw = 0n;
  for (let shift = 0n; ; shift += 7n) {
    const byte = cursor.bytes[cursor.at] ?? 0;
    cursor.at += 1;
    raw |= BigInt(byte & 127) << shift;
    if (byte < 128) return Number((raw >> 1n) ^ -(raw & 1n));
  }
}

function readText(cursor: { readonly bytes: Uint8Array; at: number }): string | null {
  const length = read(cursor);
  if (length < 0) return null;
  cursor.at += length;
  return new TextDecoder().decode(cursor.bytes.subarray(cursor.at - length, cursor.at));
}
