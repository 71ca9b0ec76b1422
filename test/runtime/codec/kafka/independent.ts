import { createRequire } from "node:module";
import {
  type CompressionAlgorithmValue,
  createRecordsBatch,
  type MessageRecord,
  Reader,
  readRecordsBatches,
} from "@platformatic/kafka";
import { type RecordBatchReader } from "../../../../runtime/codec/kafka/record-batch-reader.ts";

/** A record as every decoder here can say it; bytes as latin1 text, so that they compare. */
export interface PlainRecord {
  readonly offset: number;
  readonly timestampMs: number;
  readonly key: string | null;
  readonly value: string | null;
}

/** What our reader finds in `bytes`, batch after batch. */
export function readOurs(reader: RecordBatchReader, bytes: Uint8Array): PlainRecord[] {
  const found: PlainRecord[] = [];
  reader.open(bytes);
  while (reader.next()) found.push(...currentRecords(reader));
  return found;
}

/** The records of the reader's current batch. */
export function currentRecords(reader: RecordBatchReader): PlainRecord[] {
  const { records } = reader;
  const slice = (at: number, length: number): string | null =>
    length < 0
      ? null
      : Buffer.from(reader.bytes.buffer, reader.bytes.byteOffset + at, length).toString("latin1");
  return Array.from({ length: reader.count }, (_, i) => ({
    offset: records.offset[i]!,
    timestampMs: records.timestampMs[i]!,
    key: slice(records.keyAt[i]!, records.keyLength[i]!),
    value: slice(records.valueAt[i]!, records.valueLength[i]!),
  }));
}

/** What the decoder of @platformatic/kafka finds in `bytes`. */
export function readTheirs(bytes: Uint8Array): PlainRecord[] {
  return readRecordsBatches(Reader.from(Buffer.from(bytes))).flatMap((batch) =>
    batch.records.map((record) => ({
      offset: Number(batch.firstOffset) + record.offsetDelta,
      timestampMs: Number(batch.firstTimestamp + record.timestampDelta),
      key: record.key === null ? null : record.key.toString("latin1"),
      value: record.value === null ? null : record.value.toString("latin1"),
    })),
  );
}

/** What the decoder of kafkajs finds in one batch (no compression, or gzip). */
export async function readKafkajs(batch: Uint8Array): Promise<PlainRecord[]> {
  const require = createRequire(import.meta.url);
  const Decoder = require("kafkajs/src/protocol/decoder") as new (bytes: Buffer) => object;
  const decode = require("kafkajs/src/protocol/recordBatch/v0/decoder") as (
    decoder: object,
  ) => Promise<{
    readonly records: readonly {
      readonly offset: string;
      readonly timestamp: string;
      readonly key: Buffer | null;
      readonly value: Buffer | null;
    }[];
  }>;
  const { records } = await decode(new Decoder(Buffer.from(batch)));
  return records.map((record) => ({
    offset: Number(record.offset),
    timestampMs: Number(record.timestamp),
    key: record.key === null ? null : record.key.toString("latin1"),
    value: record.value === null ? null : record.value.toString("latin1"),
  }));
}

/** A batch encoded by @platformatic/kafka. */
export function encodeTheirs(
  messages: readonly MessageRecord[],
  compression: CompressionAlgorithmValue = "none",
): Uint8Array {
  const writer = createRecordsBatch([...messages], {
    compression,
    producerId: 7n,
    producerEpoch: 3,
    partitionLeaderEpoch: 0,
  });
  return Uint8Array.from(writer.buffer);
}
