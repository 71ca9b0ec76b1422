import { newColumnBatch } from "../../contract/columns.ts";
import { type NodeRows } from "../protocol.ts";
import { type OutputRows } from "../task/node-output.ts";

/** Copies buffered outputs out of their reused arrays, one batch per key, order kept. */
export function splitRows(
  node: number,
  rows: OutputRows,
  keys: readonly string[],
): readonly NodeRows[] {
  const counts = new Int32Array(keys.length);
  for (let i = 0; i < rows.count; i += 1) counts[rows.slots[i]!]! += 1;
  const batches = Array.from(counts, (count) => newColumnBatch(count, rows.columns.length));
  const filled = new Int32Array(keys.length);
  for (let i = 0; i < rows.count; i += 1) {
    const slot = rows.slots[i]!;
    const batch = batches[slot]!;
    const at = filled[slot]!;
    filled[slot] = at + 1;
    batch.ts[at] = rows.ts[i]!;
    for (let column = 0; column < rows.columns.length; column += 1) {
      batch.columns[column]![at] = rows.columns[column]![i]!;
    }
  }
  return batches
    .map((batch, slot) => ({ node, key: keys[slot]!, rows: batch }))
    .filter((own) => own.rows.count > 0);
}
