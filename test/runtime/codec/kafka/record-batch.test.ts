import { expect, test } from "bun:test";
import {
  batchField,
  batchOffsets,
  placeBatch,
  readInt64,
  stampBatch,
  writeInt64,
} from "../../../../runtime/codec/kafka/record-batch.ts";
import { RecordBatchReader } from "../../../../runtime/codec/kafka/record-batch-reader.ts";
import { RecordBatchWriter } from "../../../../runtime/codec/kafka/record-batch-writer.ts";
import { readOurs } from "./independent.ts";

// Method: BigInt reads and writes the same 64 bits.
test("readInt64() and writeInt64() are exact within ±2^53", () => {
  const view = new DataView(new ArrayBuffer(12));
  for (const value of [
    0,
    1,
    -1,
    2 ** 32 - 1,
    2 ** 32,
    -(2 ** 32),
    -(2 ** 32) - 1,
    2 ** 53,
    -(2 ** 53),
  ]) {
    writeInt64(view, 3, value);
    expect(view.getBigInt64(3)).toBe(BigInt(value));
    expect(readInt64(view, 3)).toBe(value);
  }
});

test("placeBatch() writes the base offset alone, batchOffsets() tells where the next batch begins", () => {
  const batch = new Uint8Array(61);
  const view = new DataView(batch.buffer);
  placeBatch(batch, 4_294_967_298);
  expect(view.getBigInt64(batchField.baseOffset)).toBe(4_294_967_298n);
  expect(batch.subarray(8).every((byte) => byte === 0)).toBe(true);
  view.setInt32(batchField.lastOffsetDelta, 41);
  expect(batchOffsets(batch)).toBe(42);
});

test("stampBatch() renews epoch and sequence in place, with a right CRC", () => {
  const writer = new RecordBatchWriter(1_024);
  writer.append(5, undefined, Uint8Array.of(120));
  const batch = writer.finish();
  stampBatch(batch, { producerId: 2 ** 40 + 3, producerEpoch: 4, baseSequence: 77 });
  const reader = new RecordBatchReader();
  expect(readOurs(reader, batch)).toHaveLength(1);
  expect([reader.producerId, reader.producerEpoch, reader.baseSequence]).toEqual([
    2 ** 40 + 3,
    4,
    77,
  ]);
});
