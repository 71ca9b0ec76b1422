import { expect, test } from "bun:test";
import { crc32c, crc32cPortable } from "../../../runtime/codec/crc32c.ts";

const check = new TextEncoder().encode("123456789");

test("crc32c() gives the published check value and those of RFC 3720", () => {
  expect(crc32c(check, 0, 9)).toBe(0xe3069283);
  expect(crc32c(new Uint8Array(32), 0, 32)).toBe(0x8a9136aa);
  expect(crc32c(new Uint8Array(32).fill(0xff), 0, 32)).toBe(0x62a8ab43);
  expect(
    crc32c(
      Uint8Array.from({ length: 32 }, (_, i) => i),
      0,
      32,
    ),
  ).toBe(0x46dd794e);
  expect(crc32c(check, 3, 3)).toBe(0);
});

test("crc32c() gives the same on both sides of its native limit, and on shared memory", () => {
  const shared = new Uint8Array(new SharedArrayBuffer(20_000));
  for (let i = 0; i < shared.length; i += 1) shared[i] = Math.imul(i, 2_654_435_761) >>> 13;
  const plain = Uint8Array.from(shared);
  for (const length of [1, 7, 8, 9, 4_095, 4_096, 4_097, 19_000]) {
    const wanted = crc32cPortable(plain, 5, 5 + length);
    expect(crc32c(plain, 5, 5 + length)).toBe(wanted);
    expect(crc32c(shared, 5, 5 + length)).toBe(wanted);
  }
});
