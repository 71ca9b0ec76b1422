import { RecordBatchWriter } from "../../runtime/codec/kafka/record-batch-writer.ts";
import { WireLayout } from "../../runtime/codec/wire/wire-layout.ts";
import { compileWireWrite } from "../../runtime/codec/wire/wire-writer.ts";
import { type ColumnBatch } from "../../runtime/index.ts";
import { bars, keyCount, keys } from "../market.ts";

/** Records of a batch. */
export const batchRecords = 1_000;

/** Layout of the bars. */
export const layout: WireLayout = WireLayout.of(bars);

/** Keys as they go on the wire. */
export const keyBytes: readonly Uint8Array[] = keys.map((key) => new TextEncoder().encode(key));

const write = compileWireWrite(layout);

/** Encodes all rows; `take` gets each finished batch, which is valid until it returns. */
export function encodeBatches(
  writer: RecordBatchWriter,
  batch: ColumnBatch,
  take: (bytes: Uint8Array) => void,
): void {
  const { columns, count, ts } = batch;
  for (let i = 0; i < count; i += 1) {
    const at = writer.reserve(ts[i]!, keyBytes[i % keyCount], layout.byteLength);
    write(writer.view, at, ts[i]!, columns, i);
    if (writer.count === batchRecords || i + 1 === count) {
      take(writer.finish());
      writer.reset();
    }
  }
}

/** A writer with room for a batch. */
export function newWriter(): RecordBatchWriter {
  return new RecordBatchWriter(batchRecords * (layout.byteLength + 64));
}

/** All rows as one fetch would bring them. */
export function batchesOf(batch: ColumnBatch): Uint8Array {
  const parts: Uint8Array[] = [];
  encodeBatches(newWriter(), batch, (bytes) => parts.push(bytes.slice()));
  return Buffer.concat(parts);
}

/** All values after each other, `layout.byteLength` bytes each. */
export function valuesOf(batch: ColumnBatch): Uint8Array {
  const bytes = new Uint8Array(batch.count * layout.byteLength);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < batch.count; i += 1) {
    write(view, i * layout.byteLength, batch.ts[i]!, batch.columns, i);
  }
  return bytes;
}
