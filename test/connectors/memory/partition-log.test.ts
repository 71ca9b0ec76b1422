import { expect, test } from "bun:test";
import { PartitionLog } from "../../../connectors/memory/partition-log.ts";
import { decodeBatches, encodeBatch } from "../../contract/record-batch.ts";

/** A batch of `count` records, a second apart from `second` on. */
const batchOf = (count: number, second = 0) =>
  encodeBatch(
    Array.from({ length: count }, (_, i) => ({
      key: null,
      value: "v",
      timeMs: (second + i) * 1_000,
    })),
  );

const large = 1 << 30;

test("batches follow each other, each at the offset after the one before it", () => {
  const log = new PartitionLog(1 << 20);
  expect([log.start, log.end]).toEqual([0, 0]);
  expect([log.append(batchOf(3)), log.append(batchOf(2)), log.append(batchOf(1))]).toEqual([
    0, 3, 5,
  ]);
  expect([log.start, log.end]).toEqual([0, 6]);
  const read = log.read(0, large, large);
  expect(decodeBatches(read!.bytes).map(({ offset }) => offset)).toEqual([0, 1, 2, 3, 4, 5]);
});

test("a read begins with the batch that holds the offset, and holds whole batches alone", () => {
  const log = new PartitionLog(1 << 20);
  for (const count of [3, 2, 1]) log.append(batchOf(count));
  expect(log.read(4, large, large)?.baseOffset).toBe(3);
  expect(log.read(6, large, large)).toBeUndefined();
  const bytes = batchOf(3).length;
  // Room for the first batch and half of the next.
  expect(log.read(0, bytes + 30, large)?.bytes).toHaveLength(bytes);
  // The first is given although it is too large, unless it is larger than any may be.
  expect(log.read(0, 10, large)?.bytes).toHaveLength(bytes);
  expect(log.read(0, 10, 10)).toBeUndefined();
});

test("the oldest go first where the limit is reached, and the start moves (L2)", () => {
  const log = new PartitionLog(32_768);
  const batch = batchOf(50);
  const batches = Math.ceil((4 * 32_768) / batch.length);
  for (let i = 0; i < batches; i += 1) expect(log.append(batch)).toBe(i * 50);
  expect(log.end).toBe(batches * 50);
  expect(log.start).toBeGreaterThan(0);
  expect(((log.end - log.start) / 50) * batch.length).toBeLessThanOrEqual(32_768);
  expect(log.read(log.start, large, large)?.baseOffset).toBe(log.start);
});

test("offsetAt() is the first record of that time or later, or the end", () => {
  const log = new PartitionLog(1 << 20);
  log.append(batchOf(3, 10));
  log.append(batchOf(3, 20));
  expect([0, 11_500, 13_000, 22_000, 23_000].map((timeMs) => log.offsetAt(timeMs))).toEqual([
    0, 2, 3, 5, 6,
  ]);
});
