/**
 * Cost of finding the records in fetched bytes, and of reading one byte of each.
 * Measures: batches of 1,000 records without compression, CRC-32C checked.
 * Does not measure: the socket, decoding of values.
 */
import { Reader, readRecordsBatches } from "@platformatic/kafka";
import { RecordBatchReader } from "../../runtime/codec/kafka/record-batch-reader.ts";
import { type MicroSuite } from "../harness.ts";
import { readingOf } from "../limits.ts";
import { makeMarket } from "../market.ts";
import { batchesOf } from "./wire-input.ts";

/** Records found in a fetch. */
export const walk: MicroSuite = {
  name: "walk",
  rows: 12_800,
  open(wanted) {
    const market = makeMarket(wanted);
    const rows = market.batch.count;
    const bytes = batchesOf(market.batch);
    const buffer = Buffer.from(bytes);
    const theirs = (): number => {
      let digest = 0;
      for (const { records } of readRecordsBatches(Reader.from(buffer))) {
        for (const { key, value } of records) digest += key![2]! + value!.length;
      }
      return digest;
    };
    const digest = theirs();
    const reader = new RecordBatchReader();
    const unchecked = new RecordBatchReader({ checksCrc: false });
    return {
      cases: [
        { name: "walk", role: "ours", rows, digest, run: () => walkAll(reader, bytes) },
        {
          name: "walk, CRC not checked",
          role: "ours",
          rows,
          digest,
          run: () => walkAll(unchecked, bytes),
        },
        { name: "@platformatic/kafka", role: "baseline", rows, digest, run: theirs },
        readingOf(bytes, rows),
      ],
    };
  },
};

function walkAll(reader: RecordBatchReader, bytes: Uint8Array): number {
  let digest = 0;
  reader.open(bytes);
  while (reader.next()) {
    const { count, records } = reader;
    const { keyAt, valueLength } = records;
    const found = reader.bytes;
    for (let i = 0; i < count; i += 1) digest += found[keyAt[i]! + 2]! + valueLength[i]!;
  }
  return digest;
}
