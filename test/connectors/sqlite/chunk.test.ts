import { expect, test } from "bun:test";
import { ChunkEncoder, decodeChunk, splitByGrid } from "../../../connectors/sqlite/chunk.ts";
import { Interval } from "../../../runtime/index.ts";
import { rowsOf } from "../../harness/task-run.ts";

const minute = 60_000;

test("rows are cut where a cell of 1,024 intervals ends, and a cell without rows has no piece (K2, K3)", () => {
  const bars = [5, 1_023, 1_024, 1_025, 4_096].map((bar) => [bar * minute, bar] as const);
  const pieces = [...splitByGrid(rowsOf(bars), Interval.of("1m"))];
  expect(pieces.map(({ start, rows }) => [start / minute, [...rows.columns[0]!]])).toEqual([
    [0, [5, 1_023]],
    [1_024, [1_024, 1_025]],
    [4_096, [4_096]],
  ]);
});

test("a blob is the columns one after the other, without padding (K1)", () => {
  const rows = rowsOf([
    [10, 0.5, -1],
    [20, Number.NaN, 2],
  ]);
  const blob = new ChunkEncoder().encode(rows);
  // ts, seq, two fields; two rows of eight bytes each.
  expect(blob).toHaveLength(2 * 8 * 4);
  const view = new DataView(blob.buffer, blob.byteOffset);
  const numbers = Array.from({ length: 8 }, (_, i) => view.getFloat64(i * 8, true));
  expect(numbers).toEqual([10, 20, 0, 0, 0.5, Number.NaN, -1, 2]);
  expect(decodeChunk(blob, 2, 2)).toMatchObject({ count: 2 });
  expect(decodeChunk(blob, 2, 3)).toBeUndefined();
  expect(decodeChunk(blob.subarray(1), 2, 2)).toBeUndefined();
});

test("a blob at an odd place in memory is read as any other", () => {
  const blob = new ChunkEncoder().encode(rowsOf([[10, 0.5]]));
  const odd = new Uint8Array(blob.length + 1);
  odd.set(blob, 1);
  const read = decodeChunk(odd.subarray(1), 1, 1);
  expect([read?.ts[0], read?.seq[0], read?.columns[0]?.[0]]).toEqual([10, 0, 0.5]);
});
