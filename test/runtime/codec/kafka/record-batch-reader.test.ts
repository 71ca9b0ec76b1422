import { expect, test } from "bun:test";
import {
  placeBatch,
  plainProducer,
  stampBatch,
} from "../../../../runtime/codec/kafka/record-batch.ts";
import { RecordBatchReader } from "../../../../runtime/codec/kafka/record-batch-reader.ts";
import { RecordBatchWriter } from "../../../../runtime/codec/kafka/record-batch-writer.ts";
import { hasCode } from "../../../../runtime/core/errors.ts";
import { encodeTheirs, readOurs, readTheirs } from "./independent.ts";

const startMs = 1_700_000_000_000;

/** 300 records of another client, with null and empty keys and values, and headers. */
const messages = Array.from({ length: 300 }, (_, i) => ({
  topic: "t",
  timestamp: BigInt(startMs + i * 60_000 - (i % 7) * 100_000),
  ...(i % 5 === 0 ? {} : { key: Buffer.from(`KEY${i % 64}`) }),
  value: Buffer.alloc(i % 11 === 0 ? 0 : 90 + (i % 50), i),
  ...(i % 3 === 0 ? { headers: new Map([[Buffer.from("h"), Buffer.from("v".repeat(i))]]) } : {}),
}));

/** Bytes of `batch` with `change` made to them and the CRC made right again. */
function altered(batch: Uint8Array, change: (view: DataView) => void): Uint8Array {
  const bytes = Uint8Array.from(batch);
  const view = new DataView(bytes.buffer);
  const stamp = { producerId: 7, producerEpoch: 3, baseSequence: 0 };
  change(view);
  stampBatch(bytes, stamp);
  return bytes;
}

/** A plain batch of `count` records of 40 bytes, one byte keys. */
function plainBatch(count: number): Uint8Array {
  const writer = new RecordBatchWriter(1 << 20);
  for (let i = 0; i < count; i += 1) {
    writer.append(startMs + i, Uint8Array.of(65), new Uint8Array(40));
  }
  return Uint8Array.from(writer.finish());
}

function reasonOf(bytes: Uint8Array, reader = new RecordBatchReader()): unknown {
  try {
    readOurs(reader, bytes);
    return undefined;
  } catch (error) {
    return hasCode(error, "BATCH_CORRUPT") ? error.details["reason"] : error;
  }
}

test("next() finds in another client's batches what its own decoder finds, compressed or not", () => {
  const reader = new RecordBatchReader();
  for (const compression of ["none", "gzip", "snappy", "lz4", "zstd"] as const) {
    const batch = encodeTheirs(messages, compression);
    const found = readOurs(reader, batch);
    expect(found).toEqual(readTheirs(batch));
    expect(found).toHaveLength(300);
    expect(reader.compression).toBe(compression);
    expect(reader.producerId).toBe(7);
    expect(reader.producerEpoch).toBe(3);
    expect(reader.isControl || reader.isTransactional).toBe(false);
  }
});

test("next() goes from batch to batch and stops before a cut one (B1)", () => {
  const first = plainBatch(3);
  const second = plainBatch(2);
  placeBatch(second, 3);
  const all = Buffer.concat([first, second]);
  const reader = new RecordBatchReader();
  for (let length = 0; length <= all.length; length += 1) {
    const count = length < first.length ? 0 : length < all.length ? 3 : 5;
    expect(readOurs(reader, all.subarray(0, length)).length).toBe(count);
    expect(reader.at).toBe(count === 0 ? 0 : count === 3 ? first.length : all.length);
  }
  expect(readOurs(reader, all).map((record) => record.offset)).toEqual([0, 1, 2, 3, 4]);
  expect(reader.nextOffset).toBe(5);
});

test("open() takes a range of a larger buffer, and ranges index that buffer", () => {
  const batch = plainBatch(2);
  const large = new Uint8Array(1_000).fill(0xee);
  large.set(batch, 333);
  const reader = new RecordBatchReader();
  reader.open(large, 333, 333 + batch.length);
  expect(reader.next()).toBe(true);
  expect(reader.bytes).toBe(large);
  expect(large[reader.records.keyAt[1]!]).toBe(65);
  expect(reader.next()).toBe(false);
  expect(() => reader.open(large, 0, 1_001)).toThrow("is not in");
});

test("next() refuses each kind of damage by name (B2)", () => {
  const batch = plainBatch(3);
  const flipped = Uint8Array.from(batch);
  flipped[100]! ^= 1;
  expect(reasonOf(flipped)).toBe("crc");
  const set = (change: (view: DataView) => void): unknown => reasonOf(altered(batch, change));
  expect(set((view) => view.setInt8(16, 1))).toBe("magic");
  expect(set((view) => view.setInt32(8, 48))).toBe("batch_length");
  expect(set((view) => view.setInt32(8, -5))).toBe("batch_length");
  expect(set((view) => view.setInt32(8, 0x7fffffff))).toBe("batch_length");
  expect(set((view) => view.setInt32(57, -1))).toBe("record_count");
  expect(set((view) => view.setInt32(57, 0x7fffffff))).toBe("record_count");
  expect(set((view) => view.setInt32(57, 4))).toBe("varint");
  expect(set((view) => view.setInt32(57, 2))).toBe("trailing_bytes");
  expect(set((view) => view.setInt32(23, 1))).toBe("record_offset");
  expect(set((view) => view.setInt32(23, -1))).toBe("offset");
  expect(set((view) => view.setInt32(0, -1))).toBe("offset");
  expect(set((view) => view.setInt32(27, 0x7fffffff))).toBe("record_timestamp");
  // Records lie from 61 on: length, attributes, timestamp and offset delta, key, value, headers.
  expect(set((view) => view.setUint8(61, 0x7f))).toBe("record_length");
  expect(set((view) => view.setUint8(61, 2))).toBe("record_length");
  expect(set((view) => view.setUint8(64, 1))).toBe("record_offset");
  expect(set((view) => view.setUint8(65, 0x7e))).toBe("key_length");
  expect(set((view) => view.setUint8(65, 3))).toBe("key_length");
  expect(set((view) => view.setUint8(67, 0x7e))).toBe("value_length");
  expect(set((view) => view.setUint8(67, 78))).toBe("headers");
  expect(set((view) => view.setUint8(108, 2))).toBe("varint");
  expect(set((view) => view.setUint8(108, 1))).toBe("headers");
});

test("next() refuses a varint without an end, and a compression that is none", () => {
  const endless = altered(plainBatch(3), (view) => {
    for (let at = 61; at < view.byteLength; at += 1) view.setUint8(at, 0xff);
  });
  expect(reasonOf(endless)).toBe("varint");
  const unknown = reasonOf(altered(plainBatch(1), (view) => view.setInt16(21, 6)));
  expect(hasCode(unknown, "CODEC_UNSUPPORTED")).toBe(true);
  expect(reasonOf(altered(plainBatch(3), (view) => view.setInt16(21, 3)))).toBe("compressed_data");
});

test("next() keeps to its limits of bytes, records and decompressed bytes", () => {
  expect(reasonOf(plainBatch(11), new RecordBatchReader({ batchRecordsMax: 10 }))).toBe(
    "record_count",
  );
  expect(reasonOf(plainBatch(10), new RecordBatchReader({ batchRecordsMax: 10 }))).toBe(undefined);
  expect(reasonOf(plainBatch(3), new RecordBatchReader({ batchBytesMax: 100 }))).toBe(
    "batch_length",
  );
  const zeros = [{ topic: "t", value: Buffer.alloc(1 << 20) }];
  const small = new RecordBatchReader({ decompressedBytesMax: 100_000 });
  for (const compression of ["gzip", "snappy", "lz4", "zstd"] as const) {
    expect(reasonOf(encodeTheirs(zeros, compression), small)).toBe("decompressed_size");
  }
});

test("next() gives every record the broker's time where the topic says so", () => {
  const batch = altered(plainBatch(3), (view) => {
    view.setInt16(21, 0x08);
    view.setInt32(35, 400);
    view.setUint32(39, 5);
  });
  const times = readOurs(new RecordBatchReader(), batch).map((record) => record.timestampMs);
  expect(times).toEqual(Array.from({ length: 3 }, () => 400 * 2 ** 32 + 5));
});

test("next() accepts a batch that compaction left empty and moves past it", () => {
  const empty = altered(plainBatch(1).slice(0, 61), (view) => {
    view.setInt32(8, 49);
    view.setInt32(57, 0);
    view.setInt32(23, 9);
  });
  const reader = new RecordBatchReader();
  expect(readOurs(reader, empty)).toEqual([]);
  expect(reader.nextOffset).toBe(10);
});

test("controlKind() tells an abort marker from a commit marker", () => {
  const writer = new RecordBatchWriter(1_024);
  const reader = new RecordBatchReader();
  for (const [type, kind] of [
    [0, "abort"],
    [1, "commit"],
    [9, "other"],
  ] as const) {
    writer.append(0, Uint8Array.of(0, 0, 0, type), Uint8Array.of(0, 0, 0, 0, 0, 0));
    const batch = writer.finish();
    new DataView(batch.buffer).setInt16(21, 0x30);
    stampBatch(batch, plainProducer);
    reader.open(batch);
    expect(reader.next()).toBe(true);
    expect(reader.isControl && reader.isTransactional).toBe(true);
    expect(reader.controlKind()).toBe(kind);
    writer.reset();
  }
  reader.close();
  expect(reader.next()).toBe(false);
});
