import { type Compression } from "../../../../runtime/codec/compression/compression.ts";
import {
  type ProducerStamp,
  placeBatch,
  plainProducer,
  stampBatch,
} from "../../../../runtime/codec/kafka/record-batch.ts";
import { RecordBatchWriter } from "../../../../runtime/codec/kafka/record-batch-writer.ts";
import { type FetchedBytes } from "../../../../runtime/index.ts";

/** A record as a producer gives it; text stands for its UTF-8 bytes. */
export interface LogRecord {
  readonly key: string | Uint8Array | null;
  readonly value: string | Uint8Array | null;
}

/** How a batch lies in the log. */
export interface LogBatch {
  readonly at?: number;
  readonly compression?: Compression;
  readonly producer?: ProducerStamp;
  /** Bits beside those of the compression: 0x10 transactional, 0x20 control. */
  readonly attributes?: number;
}

/** A batch of `records` as it lies in a log from offset `at` on. */
export function logBatch(records: readonly LogRecord[], batch: LogBatch = {}): Uint8Array {
  const { at = 0, compression = "none", producer = plainProducer, attributes = 0 } = batch;
  const writer = new RecordBatchWriter(1 << 22);
  for (const { key, value } of records) writer.append(0, bytesOf(key), bytesOf(value));
  const bytes = writer.finish({ compression }).slice();
  const view = new DataView(bytes.buffer);
  view.setInt16(21, view.getInt16(21) | attributes);
  stampBatch(bytes, producer);
  placeBatch(bytes, at);
  return bytes;
}

/** What a fetch of `batches` gives. */
export function fetched(
  batches: readonly Uint8Array[],
  more: Pick<FetchedBytes, "abortedTransactions"> = {},
): FetchedBytes {
  const bytes = new Uint8Array(Buffer.concat(batches));
  return {
    topic: "in",
    partition: 0,
    baseOffset: 0,
    nextOffset: -1,
    stableEnd: -1,
    bytes,
    ...more,
  };
}

/**
 * A record in the wire's fixed form, byte by byte: ts and what `fields` names, a letter each
 * (f float64, u unsigned 64, i signed 64, w unsigned 32, b bool).
 */
export function fixed(fields: string, values: readonly number[]): Uint8Array {
  const kinds = `u${fields}`;
  const out = Buffer.alloc(1 + kinds.length * 9);
  out[0] = 0x90 | kinds.length;
  let at = 1;
  for (const [i, kind] of kinds.split("").entries()) {
    const value = values[i] ?? Number.NaN;
    if (kind === "b") at = out.writeUInt8(value === 1 ? 0xc3 : 0xc2, at);
    else {
      at = out.writeUInt8({ f: 0xcb, u: 0xcf, i: 0xd3, w: 0xce }[kind] ?? 0, at);
      if (kind === "f") at = out.writeDoubleBE(value, at);
      else if (kind === "w") at = out.writeUInt32BE(value, at);
      else if (kind === "u") at = out.writeBigUInt64BE(BigInt(value), at);
      else at = out.writeBigInt64BE(BigInt(value), at);
    }
  }
  return new Uint8Array(out.subarray(0, at));
}

function bytesOf(value: string | Uint8Array | null): Uint8Array | undefined {
  if (value === null) return undefined;
  return typeof value === "string" ? new TextEncoder().encode(value) : value;
}
