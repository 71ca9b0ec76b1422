import { expect, test } from "bun:test";
import { AbortedTransactions } from "../../../../runtime/codec/kafka/aborted-transactions.ts";
import { placeBatch, stampBatch } from "../../../../runtime/codec/kafka/record-batch.ts";
import { RecordBatchReader } from "../../../../runtime/codec/kafka/record-batch-reader.ts";
import { RecordBatchWriter } from "../../../../runtime/codec/kafka/record-batch-writer.ts";

/** One record of producer `producerId` at `offset`; `attributes` as on the wire. */
function batchOf(producerId: number, offset: number, attributes: number, key?: Uint8Array): Buffer {
  const writer = new RecordBatchWriter(1_024);
  writer.append(0, key, Uint8Array.of(1));
  const batch = writer.finish();
  new DataView(batch.buffer).setInt16(21, attributes);
  stampBatch(batch, { producerId, producerEpoch: 0, baseSequence: 0 });
  placeBatch(batch, offset);
  return Buffer.from(batch);
}

const transactional = 0x10;
const control = 0x30;
const abort = Uint8Array.of(0, 0, 0, 0);
const commit = Uint8Array.of(0, 0, 0, 1);

test("accepts() drops control batches and what lies between an aborted begin and its marker", () => {
  const log = Buffer.concat([
    batchOf(1, 0, transactional), // aborted
    batchOf(2, 1, transactional), // committed
    batchOf(-1, 2, 0), // plain
    batchOf(1, 3, transactional), // aborted
    batchOf(1, 4, control, abort),
    batchOf(1, 5, transactional), // a new transaction of the same producer, committed
    batchOf(2, 6, control, commit),
    batchOf(1, 7, control, commit),
    batchOf(1, 8, transactional), // aborted
    batchOf(1, 9, control, abort),
  ]);
  const transactions = new AbortedTransactions();
  transactions.begin([
    { producerId: 1, firstOffset: 8 },
    { producerId: 1, firstOffset: 0 },
  ]);
  const reader = new RecordBatchReader();
  const accepted: number[] = [];
  reader.open(log);
  while (reader.next()) if (transactions.accepts(reader)) accepted.push(reader.baseOffset);
  expect(accepted).toEqual([1, 2, 5]);
  expect(reader.nextOffset).toBe(10);
});
