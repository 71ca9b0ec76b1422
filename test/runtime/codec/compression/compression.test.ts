import { expect, test } from "bun:test";
import {
  lz4Compress,
  lz4Decompress,
  snappyCompress,
  snappyDecompress,
} from "@platformatic/wasm-utils";
import * as fc from "fast-check";
import {
  type Compression,
  Compressor,
  compressionOf,
  compressions,
} from "../../../../runtime/codec/compression/compression.ts";
import { hasCode } from "../../../../runtime/core/errors.ts";

const samples: readonly Uint8Array[] = [
  new Uint8Array(0),
  Uint8Array.of(7),
  new Uint8Array(100_000),
  new TextEncoder().encode("BTCUSDT 1m open high low close ".repeat(9_000)),
  Uint8Array.from({ length: 200_000 }, (_, i) => Math.imul(i, 2_654_435_761) >>> 24),
  Uint8Array.from({ length: 70_000 }, (_, i) => Math.imul(i * i, 40_503) >>> (i % 13)),
];

test("decompress() gives back what compress() took, for each compression", () => {
  const compressor = new Compressor(1 << 20);
  for (const compression of compressions) {
    for (const sample of samples) {
      const packed = Uint8Array.from(compressor.compress(compression, sample));
      expect(Buffer.from(compressor.decompress(compression, packed)).equals(sample)).toBe(true);
    }
  }
});

// Goal: our snappy and lz4 are the formats. Method: the Rust implementation of another client.
test("snappy and lz4 are read and written as an independent implementation does", () => {
  const compressor = new Compressor(1 << 20);
  for (const sample of samples.slice(1)) {
    const theirs = lz4Compress(Buffer.from(sample));
    expect(Buffer.from(compressor.decompress("lz4", theirs)).equals(sample)).toBe(true);
    const ours = Buffer.from(compressor.compress("lz4", sample));
    expect(lz4Decompress(ours).equals(sample)).toBe(true);
    const raw = snappyCompress(Buffer.from(sample));
    expect(Buffer.from(compressor.decompress("snappy", raw)).equals(sample)).toBe(true);
    expect(unframe(compressor.compress("snappy", sample)).equals(sample)).toBe(true);
  }
});

/** Blocks of xerial's framing, each decoded by the independent implementation. */
function unframe(framed: Uint8Array): Buffer {
  const bytes = Buffer.from(framed);
  const parts: Buffer[] = [];
  for (let at = 16; at < bytes.length; at += 4 + bytes.readUInt32BE(at)) {
    parts.push(snappyDecompress(bytes.subarray(at + 4, at + 4 + bytes.readUInt32BE(at))));
  }
  return Buffer.concat(parts);
}

test("compressed text is shorter than the text", () => {
  const compressor = new Compressor(1 << 20);
  const text = samples[3]!;
  for (const compression of compressions.slice(1)) {
    expect(compressor.compress(compression, text).length).toBeLessThan(text.length / 10);
  }
});

test("decompress() refuses what would unpack to more than its limit, by name (C1)", () => {
  const big = new Compressor(64 << 20);
  const small = new Compressor(100_000);
  for (const compression of compressions.slice(1)) {
    const bomb = Uint8Array.from(big.compress(compression, new Uint8Array(8 << 20)));
    expect(bomb.length).toBeLessThan(500_000);
    expect(() => small.decompress(compression, bomb)).toThrow("more than 100000 bytes");
  }
});

// Goal: no input crashes or hangs. Method: good frames, cut and with bytes changed, and noise.
test("decompress() of damaged bytes ends with bytes or with BATCH_CORRUPT", () => {
  const compressor = new Compressor(1 << 20);
  const damage = fc.record({
    compression: fc.constantFrom<Compression>("gzip", "snappy", "lz4", "zstd"),
    sample: fc.constantFrom(...samples.slice(3)),
    cut: fc.nat(),
    flips: fc.array(fc.tuple(fc.nat(), fc.integer({ min: 1, max: 255 })), { maxLength: 4 }),
    isRaw: fc.boolean(),
  });
  const property = fc.property(damage, ({ compression, sample, cut, flips, isRaw }) => {
    const good =
      compression === "snappy" && isRaw
        ? snappyCompress(Buffer.from(sample))
        : compressor.compress(compression, sample);
    const bytes = Uint8Array.from(good.subarray(0, good.length - (cut % 64)));
    for (const [at, bits] of flips) bytes[at % bytes.length]! ^= bits;
    try {
      expect(compressor.decompress(compression, bytes).length).toBeLessThanOrEqual(1 << 20);
    } catch (error) {
      expect(hasCode(error, "BATCH_CORRUPT")).toBe(true);
    }
  });
  fc.assert(property, { numRuns: 400 });
});

test("compressionOf() refuses a number that is no compression", () => {
  expect(compressionOf(4)).toBe("zstd");
  expect(() => compressionOf(5)).toThrow("number 5");
});
