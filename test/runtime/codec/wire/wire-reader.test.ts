import { expect, test } from "bun:test";
import { decode, encode, every, read, ts } from "./wire-rows.ts";

test("a value is read back as it was written, at its limits too", () => {
  const rows = [
    [1.5, -2, 2 ** 52, 7, 1],
    [Number.NaN, -(2 ** 53), 2 ** 53 - 1, 2 ** 32 - 1, 0],
    [-Number.MAX_VALUE, 2 ** 53 - 1, 0, 0, 1],
    [5e-324, -1, 2 ** 32, 1, 0],
    [-0.1, -(2 ** 32), 2 ** 32 - 1, 1, 0],
  ];
  for (const row of rows) {
    expect(read(every, encode(every, row))).toEqual([ts, ...row]);
    expect(decode(every, encode(every, row))).toEqual([ts, ...row]);
  }
  const wide = Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`f${i}`, "u32" as const]));
  const numbers = Array.from({ length: 200 }, (_, i) => i);
  expect(read(wide, encode(wide, numbers))).toEqual([ts, ...numbers]);
});

test("negative zero is written and read as zero", () => {
  expect(Object.is((read(every, encode(every, [-0, -0, -0, -0, -0])) as number[])[1], 0)).toBe(
    true,
  );
  const raw = encode(every, [1, 2, 3, 4, 1]);
  raw.set([0x80, 0, 0, 0, 0, 0, 0, 0], 11);
  expect(Object.is((read(every, raw) as number[])[1], 0)).toBe(true);
  expect(Object.is((decode(every, raw) as number[])[1], 0)).toBe(true);
});

test("a fast reader leaves every other form to the slow path", () => {
  const good = encode(every, [1.5, -2, 3, 7, 1]);
  const changed = (at: number, byte: number): Uint8Array => {
    const bytes = Uint8Array.from(good);
    bytes[at] = byte;
    return bytes;
  };
  expect(read(every, good)).toEqual([ts, 1.5, -2, 3, 7, 1]);
  expect(read(every, good.subarray(0, 42))).toBe(undefined);
  for (const at of [0, 1, 10, 19, 28, 37, 42])
    expect(read(every, changed(at, 0xc0))).toBe(undefined);
  expect(read(every, changed(30, 0x20))).toBe(undefined); // u64 of 2^53 and more
  expect(read(every, changed(21, 0x20))).toBe(undefined); // i64 below −2^53
  expect(read(every, changed(3, 0x1f))).toBe(undefined); // ts past the last instant
  const infinite = Uint8Array.from(good);
  infinite.set([0x7f, 0xf0, 0, 0, 0, 0, 0, 0], 11);
  expect(read(every, infinite)).toBe(undefined);
  expect(decode(every, infinite)).toBe("infinite");
});
