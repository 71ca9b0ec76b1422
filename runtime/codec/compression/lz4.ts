import { copyLiteral, copyMatch, matchEnd, matchSlot, matchSlots } from "./copy.ts";
import { compressionError, type Scratch } from "./scratch.ts";

/**
 * LZ4 frames, as Kafka writes them: magic, flags, block size, header checksum, blocks with a
 * little-endian length each, end mark. Block and content checksums are skipped: the batch has its
 * own CRC over all of it. Own code for the reasons given at `snappyDecompress`.
 */
export function lz4Decompress(input: Uint8Array, output: Scratch): void {
  const view = new DataView(input.buffer, input.byteOffset, input.length);
  const frame = readHeader(input, view);
  const start = output.length;
  let at = frame.length;
  for (;;) {
    if (at + 4 > input.length) throw fault("the end mark is missing");
    const word = view.getUint32(at, true);
    at += 4;
    if (word === 0) break;
    const length = word & 0x7fffffff;
    if (length > input.length - at || length > frame.blockBytesMax)
      throw fault("a block is cut off");
    if (word >= rawBlock) {
      copyLiteral(input, at, output.reserve(length), output.length, length);
      output.length += length;
    } else {
      decodeBlock({ input, at, to: at + length }, output, start, frame.blockBytesMax);
    }
    at += length + frame.blockTrailer;
  }
  if (at + frame.trailer !== input.length) throw fault("bytes follow the end mark");
}

/** Compresses `input` into one frame of independent 64 KiB blocks appended to `output`. */
export function lz4Compress(input: Uint8Array, output: Scratch): void {
  output.reserve(frameHeader.length).set(frameHeader, output.length);
  output.length += frameHeader.length;
  for (let from = 0; from < input.length; from += blockBytes) {
    const block = input.subarray(from, Math.min(input.length, from + blockBytes));
    const bytes = output.reserve(4 + block.length + Math.ceil(block.length / 255) + 16);
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    const dataAt = output.length + 4;
    const end = encodeBlock(block, bytes, dataAt);
    if (end - dataAt < block.length) {
      view.setUint32(output.length, end - dataAt, true);
      output.length = end;
    } else {
      view.setUint32(output.length, rawBlock + block.length, true);
      bytes.set(block, dataAt);
      output.length = dataAt + block.length;
    }
  }
  output.reserve(4).fill(0, output.length, output.length + 4);
  output.length += 4;
}

const rawBlock = 0x80000000;
const blockBytes = 65_536;
/** Magic; version 1 with independent blocks; blocks of 64 KiB; checksum of the two. */
const frameHeader = Uint8Array.of(0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82);

interface Frame {
  /** Bytes before the first block. */
  readonly length: number;
  readonly blockBytesMax: number;
  /** Bytes of checksum after each block, and after the end mark. */
  readonly blockTrailer: number;
  readonly trailer: number;
}

function readHeader(input: Uint8Array, view: DataView): Frame {
  if (input.length < 7 || view.getUint32(0, true) !== 0x184d2204)
    throw fault("the magic is missing");
  const flags = input[4]!;
  const size = (input[5]! >>> 4) & 7;
  if (flags >>> 6 !== 1 || size < 4) throw fault("the header has an unknown version or block size");
  if ((flags & 1) === 1) throw fault("a dictionary is named, wanted none");
  const checksumAt = 6 + ((flags & 8) === 0 ? 0 : 8);
  if (checksumAt >= input.length) throw fault("the header is cut off");
  if (input[checksumAt] !== headerChecksum(input.subarray(4, checksumAt))) {
    throw fault("the header checksum is wrong");
  }
  return {
    length: checksumAt + 1,
    blockBytesMax: 2 ** (8 + 2 * size),
    blockTrailer: (flags & 16) === 0 ? 0 : 4,
    trailer: (flags & 4) === 0 ? 0 : 4,
  };
}

function headerChecksum(descriptor: Uint8Array): number {
  return (Bun.hash.xxHash32(descriptor, 0) >>> 8) & 255;
}

function fault(text: string): Error {
  return compressionError("compressed_data", `in its lz4 data ${text}`);
}

interface Range {
  readonly input: Uint8Array;
  readonly at: number;
  readonly to: number;
}

/**
 * Decodes one block; matches may reach back to `start`, where the frame's output begins. The
 * numbers stay in local variables, lengths of 15 and more are read by `longLength`.
 */
// oxlint-disable-next-line eslint/max-params -- a byte range, where it goes, and its limits
function decodeBlock(range: Range, output: Scratch, start: number, bytesMax: number): void {
  const { input, to } = range;
  const outEnd = output.reserveUpTo(bytesMax);
  const isAtLimit = outEnd < output.length + bytesMax;
  const { bytes } = output;
  let { at } = range;
  let put = output.length;
  while (at < to) {
    const token = input[at]!;
    at += 1;
    let literals = token >>> 4;
    if (literals === 15) {
      literals += longLength(input, at, to);
      at += longBytes(literals - 15);
    }
    if (literals > to - at) throw fault("a literal runs past the end");
    if (literals > outEnd - put) throw tooLong(output, isAtLimit);
    copyLiteral(input, at, bytes, put, literals);
    at += literals;
    put += literals;
    if (at === to) {
      output.length = put;
      return;
    }
    if (at + 2 > to) throw fault("a match is cut off");
    const distance = input[at]! | (input[at + 1]! << 8);
    at += 2;
    let count = (token & 15) + 4;
    if (count === 19) {
      count += longLength(input, at, to);
      at += longBytes(count - 19);
    }
    if (distance === 0 || distance > put - start) {
      throw fault("a match points outside of the frame");
    }
    if (count > outEnd - put) throw tooLong(output, isAtLimit);
    copyMatch(bytes, put, distance, count);
    put += count;
  }
  throw fault("a block has no last literals");
}

/** The block goes on where it may not: past the limit of all output, or of its frame. */
function tooLong(output: Scratch, isAtLimit: boolean): Error {
  return isAtLimit ? output.tooLong() : fault("a block is longer than its frame allows");
}

/** The rest of a length of 15 or more: bytes of 255 and a last smaller one. */
function longLength(input: Uint8Array, start: number, to: number): number {
  let length = 0;
  for (let at = start; at < to; at += 1) {
    const byte = input[at]!;
    length += byte;
    if (byte < 255) return length;
  }
  throw fault("a length is cut off");
}

/** Bytes that `longLength` took for `length`. */
function longBytes(length: number): number {
  return Math.floor(length / 255) + 1;
}

const table = new Int32Array(matchSlots);
/** The format wants the last 5 bytes as literals, and no match to begin in the last 12. */
const lastLiterals = 5;
const lastMatch = 12;

/** Greedy: the newest position with the same four bytes is taken. Returns the end in `out`. */
function encodeBlock(input: Uint8Array, out: Uint8Array, start: number): number {
  table.fill(-1);
  let put = start;
  let at = 0;
  let literalFrom = 0;
  while (at + lastMatch <= input.length) {
    const slot = matchSlot(input, at);
    const candidate = table[slot]!;
    table[slot] = at;
    const near = candidate >= 0 && at - candidate < 65_536;
    const end = near ? matchEnd(input, at, candidate, input.length - lastLiterals) : at;
    if (end - at < 4) {
      at += 1 + ((at - literalFrom) >>> 6);
      continue;
    }
    const count = end - at - 4;
    put = putLiterals(input.subarray(literalFrom, at), Math.min(count, 15), out, put);
    out[put] = (at - candidate) & 255;
    out[put + 1] = (at - candidate) >>> 8;
    put = putRest(count, out, put + 2);
    at = end;
    literalFrom = end;
  }
  return putLiterals(input.subarray(literalFrom), 0, out, put);
}

/** Token and literals; `matchNibble` is the token's lower half. */
// oxlint-disable-next-line eslint/max-params -- runs per match
function putLiterals(
  literal: Uint8Array,
  matchNibble: number,
  out: Uint8Array,
  start: number,
): number {
  out[start] = (Math.min(literal.length, 15) << 4) | matchNibble;
  const put = putRest(literal.length, out, start + 1);
  copyLiteral(literal, 0, out, put, literal.length);
  return put + literal.length;
}

function putRest(length: number, out: Uint8Array, start: number): number {
  if (length < 15) return start;
  let put = start;
  let rest = length - 15;
  for (; rest >= 255; rest -= 255) {
    out[put] = 255;
    put += 1;
  }
  out[put] = rest;
  return put + 1;
}
