/**
 * Cost of a record on its way out.
 * Measures: 9 columns to a MessagePack value to a record of a batch of 1,000, CRC-32C included.
 * Does not measure: compression, the socket.
 */
import { createRecordsBatch } from "@platformatic/kafka";
import { Packr } from "msgpackr";
import { type ColumnBatch } from "../../runtime/index.ts";
import { type MicroSuite } from "../harness.ts";
import { copyingOf } from "../limits.ts";
import { keyCount, keys, makeMarket } from "../market.ts";
import { batchesOf, batchRecords, encodeBatches, newWriter } from "./wire-input.ts";

/** Where a batch says how many records it has. */
const recordCountAt = 57;
const keyBuffers = keys.map((key) => Buffer.from(key));

/** Columns to record batches. */
export const encode: MicroSuite = {
  name: "encode",
  rows: 12_800,
  open(wanted) {
    const { batch } = makeMarket(wanted);
    const rows = batch.count;
    const digest = rows;
    const writer = newWriter();
    const ours = (): number => {
      let sum = 0;
      encodeBatches(writer, batch, (bytes) => {
        sum += writer.view.getInt32(bytes.byteOffset + recordCountAt);
      });
      return sum;
    };
    const packr = new Packr({ useRecords: false });
    const pack = (row: readonly number[]): Buffer => packr.pack(row);
    const json = (row: readonly number[]): Buffer => Buffer.from(JSON.stringify(row));
    return {
      cases: [
        { name: "encode", role: "ours", rows, digest, run: ours },
        {
          name: "msgpackr + @platformatic/kafka",
          role: "baseline",
          rows,
          digest,
          run: () => encodeTheirs(batch, pack),
        },
        {
          name: "JSON + @platformatic/kafka",
          role: "baseline",
          rows,
          digest,
          run: () => encodeTheirs(batch, json),
        },
        copyingOf(batchesOf(batch), rows),
      ],
    };
  },
};

function encodeTheirs(batch: ColumnBatch, encodeRow: (row: readonly number[]) => Buffer): number {
  let sum = 0;
  for (let from = 0; from < batch.count; from += batchRecords) {
    const count = Math.min(batchRecords, batch.count - from);
    const messages = Array.from({ length: count }, (_, i) => ({
      topic: "bars",
      key: keyBuffers[(from + i) % keyCount]!,
      timestamp: BigInt(batch.ts[from + i]!),
      value: encodeRow([batch.ts[from + i]!, ...batch.columns.map((column) => column[from + i]!)]),
    }));
    const { buffer } = createRecordsBatch(messages, { compression: "none" });
    sum += buffer.readInt32BE(recordCountAt);
  }
  return sum;
}
