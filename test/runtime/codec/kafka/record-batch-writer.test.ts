import { expect, test } from "bun:test";
import { compressions } from "../../../../runtime/codec/compression/compression.ts";
import { batchOffsets, placeBatch } from "../../../../runtime/codec/kafka/record-batch.ts";
import { RecordBatchReader } from "../../../../runtime/codec/kafka/record-batch-reader.ts";
import { RecordBatchWriter } from "../../../../runtime/codec/kafka/record-batch-writer.ts";
import {
  encodeTheirs,
  type PlainRecord,
  readKafkajs,
  readOurs,
  readTheirs,
} from "./independent.ts";

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Records with every kind of delta and length. */
const records: readonly PlainRecord[] = Array.from({ length: 500 }, (_, i) => ({
  offset: i,
  timestampMs: 1_700_000_000_000 + (i % 3 === 0 ? -1 : 1) * i ** 4,
  key: i % 10 === 0 ? null : "K".repeat(i % 90),
  value: i % 17 === 0 ? null : "v".repeat((i * 37) % 300),
}));

function fill(writer: RecordBatchWriter): void {
  for (const { timestampMs, key, value } of records) {
    const keyBytes = key === null ? undefined : encode(key);
    const valueBytes = value === null ? undefined : encode(value);
    expect(writer.append(timestampMs, keyBytes, valueBytes)).toBe(true);
  }
}

test("finish() gives a batch that two other clients read as it was written", async () => {
  const writer = new RecordBatchWriter(1 << 20);
  for (const compression of compressions) {
    fill(writer);
    const batch = writer.finish({ compression });
    expect(readTheirs(batch)).toEqual([...records]);
    if (compression === "none" || compression === "gzip") {
      expect(await readKafkajs(batch)).toEqual([...records]);
    }
    const reader = new RecordBatchReader();
    expect(readOurs(reader, batch)).toEqual([...records]);
    expect(reader.compression).toBe(compression);
    expect(reader.maxTimestampMs).toBe(Math.max(...records.map((record) => record.timestampMs)));
    writer.reset();
  }
});

test("finish() is byte for byte what another client encodes, producer stamp included", () => {
  const writer = new RecordBatchWriter(1 << 16);
  const messages = Array.from({ length: 100 }, (_, i) => ({
    topic: "t",
    timestamp: BigInt(1_700_000_000_000 + i * 60_000),
    key: Buffer.from(`KEY${i}`),
    value: Buffer.alloc(i + 1, i),
  }));
  for (const { timestamp, key, value } of messages) writer.append(Number(timestamp), key, value);
  const producer = { producerId: 7, producerEpoch: 3, baseSequence: 0 };
  const ours = Buffer.from(writer.finish({ producer }));
  const theirs = Buffer.from(encodeTheirs(messages));
  theirs.writeInt32BE(-1, 12); // the leader epoch is the broker's to fill
  expect(ours.equals(theirs)).toBe(true);
});

test("reserve() gives room to encode a value in place, and undo() takes it back", () => {
  const writer = new RecordBatchWriter(1_024);
  const at = writer.reserve(1_000, encode("A"), 3);
  writer.bytes.set([1, 2, 3], at);
  const before = writer.length;
  writer.reserve(9_000, encode("B"), 100);
  writer.undo();
  expect([writer.length, writer.count, writer.maxTimestampMs]).toEqual([before, 1, 1_000]);
  writer.append(2_000, encode("C"), encode("z"));
  expect(readOurs(new RecordBatchReader(), writer.finish())).toEqual([
    { offset: 0, timestampMs: 1_000, key: "A", value: "\u0001\u0002\u0003" },
    { offset: 1, timestampMs: 2_000, key: "C", value: "z" },
  ]);
});

test("reserve() gives -1 where bytesMax would be passed, and exactly fills it (P1)", () => {
  const writer = new RecordBatchWriter(1_024);
  const room = 1_024 - 61;
  expect(writer.reserve(0, undefined, room - 8 + 1)).toBe(-1);
  expect(writer.count).toBe(0);
  expect(writer.reserve(0, undefined, room - 9)).toBeGreaterThan(0);
  expect(writer.length).toBe(1_024);
  expect(writer.append(0, undefined, undefined)).toBe(false);
  expect(writer.finish().length).toBe(1_024);
});

test("skipOffsets() leaves gaps that readers see", () => {
  const writer = new RecordBatchWriter(1_024);
  writer.append(0, undefined, encode("a"));
  writer.skipOffsets(5);
  writer.append(0, undefined, encode("b"));
  writer.skipOffsets(2);
  const batch = writer.finish();
  placeBatch(batch, 100);
  expect(batchOffsets(batch)).toBe(9);
  const reader = new RecordBatchReader();
  expect(readOurs(reader, batch).map((record) => record.offset)).toEqual([100, 106]);
  expect(reader.nextOffset).toBe(109);
});

test("a finished batch stays until reset(), and a batch is finished once (P2)", () => {
  const writer = new RecordBatchWriter(1_024);
  expect(() => writer.finish()).toThrow("finished once");
  writer.append(0, undefined, encode("a"));
  writer.finish();
  expect(() => writer.append(0, undefined, undefined)).toThrow("reset");
  writer.reset();
  expect(writer.append(0, undefined, undefined)).toBe(true);
  expect(() => new RecordBatchWriter(10)).toThrow("bytesMax");
});
