import { expect, test } from "bun:test";
import { batchSpan } from "../../../../runtime/index.ts";
import { encodeBatch } from "../../../contract/record-batch.ts";

const batchAt = (offset: number, records: number): Uint8Array => {
  const rows = Array.from({ length: records }, (_, i) => ({ key: "k", value: `${i}`, timeMs: i }));
  const batch = encodeBatch(rows);
  new DataView(batch.buffer).setBigInt64(0, BigInt(offset));
  return batch;
};

test("batchSpan() ends with the last whole batch, wherever the bytes are cut", () => {
  const [a, b] = [batchAt(7, 3), batchAt(10, 2)];
  const both = new Uint8Array([...a, ...b]);
  for (let length = 0; length <= both.length; length += 1) {
    const whole = length < a.length ? 0 : length < both.length ? 1 : 2;
    expect(batchSpan(both.subarray(0, length))).toEqual(
      [
        { length: 0, baseOffset: -1, nextOffset: -1 },
        { length: a.length, baseOffset: 7, nextOffset: 10 },
        { length: both.length, baseOffset: 7, nextOffset: 12 },
      ][whole]!,
    );
  }
});

test("batchSpan() stops at a length that is none", () => {
  const batch = batchAt(0, 1);
  for (const length of [-13, -1, 0, 48, 2 ** 31 - 1]) {
    const bytes = batch.slice();
    new DataView(bytes.buffer).setInt32(8, length);
    expect(batchSpan(bytes).length).toBe(0);
  }
});
