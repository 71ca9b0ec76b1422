import { expect, test } from "bun:test";
import { crc32 } from "node:zlib";
import * as fc from "fast-check";
import { hasCode } from "../../../../runtime/index.ts";
import { ByteReader, ByteWriter } from "../../../../runtime/worker/checkpoint/bytes.ts";

/** True if reading `bytes` as `read` does gives the named error. */
function isCorrupt(bytes: Uint8Array, read?: (reader: ByteReader) => unknown): boolean {
  try {
    const reader = new ByteReader(bytes);
    read?.(reader);
    return false;
  } catch (error) {
    if (hasCode(error, "CHECKPOINT_CORRUPT")) return true;
    throw error;
  }
}

/** A piece with `body` in it, whatever that says. */
function pieceOf(body: Uint8Array): Uint8Array<ArrayBuffer> {
  const writer = new ByteWriter();
  const piece = Uint8Array.of(...writer.finish().subarray(0, 8), ...body);
  new DataView(piece.buffer).setUint32(4, crc32(piece.subarray(8)), true);
  return piece;
}

test("a piece has the form that is written down: little-endian, magic, CRC-32, then the numbers", () => {
  const writer = new ByteWriter();
  writer.u32(1);
  writer.floats(Float64Array.of(9, -2.5), 1, 1);
  writer.bytes(Uint8Array.of(7, 8));
  const piece = writer.finish();
  const padding = [0, 0, 0, 0];
  const body = [1, 0, 0, 0, ...padding, 0, 0, 0, 0, 0, 0, 4, 0xc0, 2, 0, 0, 0, 7, 8];
  expect([...piece.subarray(0, 4)]).toEqual([0x33, 0x4b, 0x43, 0x51]);
  expect([...piece.subarray(8)]).toEqual(body);
  expect(piece).toEqual(pieceOf(Uint8Array.from(body)));
});

test("small numbers alone make the buffer grow, at whichever of them it is full", () => {
  const writer = new ByteWriter();
  const numbers = Array.from({ length: 50_000 }, (_, i) => i);
  for (const number of numbers) writer.u32(number);
  const reader = new ByteReader(writer.finish());
  expect(numbers.map(() => reader.u32())).toEqual(numbers);
  expect(reader.isAtEnd).toBe(true);
});

// Goal: what goes in comes out, to the bit, over growth and reuse. Method: random calls, read back.
test("a reader gives back what a writer took, in order, over any growth and reuse", () => {
  const value = fc.oneof(
    fc.record({ kind: fc.constant("u32" as const), value: fc.nat(0xffff_ffff) }),
    fc.record({ kind: fc.constant("f64" as const), value: fc.double() }),
    fc.record({
      kind: fc.constant("floats" as const),
      value: fc.float64Array({ maxLength: 20_000 }),
    }),
    fc.record({ kind: fc.constant("bytes" as const), value: fc.uint8Array({ maxLength: 90_000 }) }),
  );
  const writer = new ByteWriter();
  const property = fc.property(fc.array(value, { maxLength: 12 }), fc.nat(8), (values, shift) => {
    writer.reset();
    const held = writer.holdU32();
    for (const one of values) {
      if (one.kind === "u32") writer.u32(one.value);
      if (one.kind === "f64") writer.f64(one.value);
      if (one.kind === "bytes") writer.bytes(one.value);
      if (one.kind === "floats") writer.floats(one.value, 0, one.value.length);
    }
    writer.setU32(held, values.length);
    // Where the bytes lie in their buffer makes no difference.
    const piece = writer.finish();
    const moved = new Uint8Array(piece.length + shift);
    moved.set(piece, shift);
    const reader = new ByteReader(moved.subarray(shift));
    expect(reader.u32()).toBe(values.length);
    for (const one of values) {
      if (one.kind === "u32") expect(reader.u32()).toBe(one.value);
      if (one.kind === "f64") expect(Object.is(reader.f64(), one.value)).toBe(true);
      if (one.kind === "bytes") expect(reader.bytes()).toEqual(one.value);
      if (one.kind === "floats") {
        const read = new Float64Array(one.value.length);
        reader.floats(read, 0, read.length);
        expect(Buffer.from(read.buffer).equals(Buffer.from(one.value.slice().buffer))).toBe(true);
      }
    }
    expect(reader.isAtEnd).toBe(true);
  });
  fc.assert(property, { numRuns: 40 });
});

test("a finished piece is the caller's, small or large: the writer's next does not touch it", () => {
  const writer = new ByteWriter();
  const pieces = [1, 200_000, 3, 200_000].map((count, i) => {
    writer.reset();
    writer.u32(i);
    writer.floats(new Float64Array(count).fill(i), 0, count);
    return writer.finish();
  });
  for (const [i, piece] of pieces.entries()) {
    const reader = new ByteReader(piece);
    expect([reader.u32(), reader.f64()]).toEqual([i, i]);
  }
});

test("a buffer that is given back is used again, and no piece that is still out is touched", () => {
  const writer = new ByteWriter();
  const write = (value: number, count: number): Uint8Array<ArrayBuffer> => {
    writer.reset();
    writer.floats(new Float64Array(count).fill(value), 0, count);
    return writer.finish();
  };
  const [first, second] = [write(1, 50_000), write(2, 50_000)];
  writer.giveBack(first);
  const [third, fourth] = [write(3, 10), write(4, 50_000)];
  expect([third, fourth].map(({ buffer }) => buffer)).toContain(first.buffer);
  for (const [piece, value] of [
    [second, 2],
    [third, 3],
    [fourth, 4],
  ] as const) {
    expect(new ByteReader(piece).f64()).toBe(value);
  }
});

test("any flipped bit, cut or added byte is CHECKPOINT_CORRUPT", () => {
  const writer = new ByteWriter();
  for (let i = 0; i < 5; i += 1) writer.f64(i * 1.5);
  const piece = writer.finish();
  for (let bit = 0; bit < piece.length * 8; bit += 1) {
    const changed = piece.slice();
    changed[bit >> 3]! ^= 1 << (bit & 7);
    expect(isCorrupt(changed)).toBe(true);
  }
  for (let length = 0; length < piece.length; length += 1) {
    expect(isCorrupt(piece.slice(0, length))).toBe(true);
  }
  expect(isCorrupt(Uint8Array.of(...piece, 0))).toBe(true);
  expect(isCorrupt(piece)).toBe(false);
});

test("lengths that go beyond a sound piece are CHECKPOINT_CORRUPT, not memory", () => {
  const huge = pieceOf(Uint8Array.of(0xff, 0xff, 0xff, 0xff, 1));
  expect(isCorrupt(huge, (reader) => reader.bytes())).toBe(true);
  expect(isCorrupt(huge, (reader) => reader.f64())).toBe(true);
  expect(isCorrupt(pieceOf(Uint8Array.of(1, 2)), (reader) => reader.u32())).toBe(true);
  const into = new Float64Array(4);
  expect(isCorrupt(huge, (reader) => reader.floats(into, 0, 4))).toBe(true);
});

test("a Buffer at an odd place in memory is read like any other piece", () => {
  const writer = new ByteWriter();
  writer.reset();
  writer.floats(new Float64Array([1, 2, 3]), 0, 3);
  const piece = writer.finish();
  for (let shift = 0; shift < 8; shift += 1) {
    const room = Buffer.alloc(piece.length + shift);
    room.set(piece, shift);
    const values = new Float64Array(3);
    new ByteReader(room.subarray(shift)).floats(values, 0, 3);
    expect([...values]).toEqual([1, 2, 3]);
  }
});
