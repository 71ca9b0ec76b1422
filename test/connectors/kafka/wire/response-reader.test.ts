import { expect, test } from "bun:test";
import { ResponseReader } from "../../../../connectors/kafka/wire/response-reader.ts";

/** A reader of `bytes`, which lie between bytes of other frames. */
function readerOf(...bytes: readonly number[]): ResponseReader {
  const around = Uint8Array.from([
    0x11,
    0x11,
    ...bytes,
    0x22,
    0x22,
    0x22,
    0x22,
    0x22,
    0x22,
    0x22,
    0x22,
  ]);
  const reader = new ResponseReader();
  reader.open(around, new DataView(around.buffer), { from: 2, to: 2 + bytes.length });
  return reader;
}

test("fields come in the order of the frame, big-endian", () => {
  const reader = readerOf(
    0xff,
    0,
    2,
    0,
    0,
    0,
    3,
    0xff,
    0xff,
    0xff,
    0xff,
    0xff,
    0xff,
    0xff,
    0xfe,
    0,
    2,
    0xc3,
    0xa9,
    0xff,
    0xff,
    0,
    0,
    0,
    1,
    9,
  );
  expect([reader.int8(), reader.int16(), reader.int32(), reader.int64()]).toEqual([-1, 2, 3, -2]);
  expect([reader.string(), reader.string(), [...reader.bytes()]]).toEqual(["é", "", [9]]);
});

test("nothing beyond the frame is read, whatever lies there (R1)", () => {
  expect(() => readerOf(0, 0, 0).int32()).toThrow("it ends too early");
  expect(() => readerOf(0, 9, 65).string()).toThrow("it ends too early");
  expect(() => readerOf(0, 0, 0, 9, 1).bytes()).toThrow("it ends too early");
  expect(() => readerOf(1).skip(2)).toThrow("it ends too early");
  expect(() => readerOf(1).skip(-1)).toThrow("it ends too early");
});

test("a count that cannot fit into what is left is refused, null is none (R2)", () => {
  expect(readerOf(0, 0, 0, 2, 1, 1).count(1)).toBe(2);
  expect(readerOf(0xff, 0xff, 0xff, 0xff).count(1)).toBe(0);
  expect(() => readerOf(0, 0, 0, 2, 1).count(1)).toThrow("it names 2 elements");
  expect(() => readerOf(0x7f, 0xff, 0xff, 0xff).count(8)).toThrow("it names 2147483647 elements");
});

test("a frame is kept for those that ask, and the next one begins anew", () => {
  const reader = readerOf(0, 1);
  expect(reader.isKept).toBe(false);
  reader.keepFrame();
  expect(reader.isKept).toBe(true);
  const bytes = new Uint8Array(2);
  reader.open(bytes, new DataView(bytes.buffer), { from: 0, to: 2 });
  expect(reader.isKept).toBe(false);
});
