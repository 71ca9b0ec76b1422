import { copyLiteral, copyMatch, matchEnd, matchSlot, matchSlots } from "./copy.ts";
import { compressionError, type Scratch } from "./scratch.ts";

/**
 * Snappy, as Kafka's clients write it: one raw block, or the framing of xerial's Java library
 * (16 bytes of header, then blocks with a big-endian length each). We write the framing, because
 * old Java readers know nothing else; both are read.
 *
 * Own code instead of a package: the maintained one runs in WebAssembly memory that has no limit
 * on what a block may grow to, copies in and out, and allocates for each batch.
 */
export function snappyDecompress(input: Uint8Array, output: Scratch): void {
  if (!isFramed(input)) {
    decodeBlock(input, 0, input.length, output);
    return;
  }
  const view = new DataView(input.buffer, input.byteOffset, input.length);
  let at = frameHeader.length;
  while (at < input.length) {
    if (at + 4 > input.length) throw fault("a block length is cut off");
    const length = view.getUint32(at);
    at += 4;
    if (length > input.length - at) throw fault("a block is cut off");
    decodeBlock(input, at, at + length, output);
    at += length;
  }
}

/** Compresses `input` into framed blocks appended to `output`. */
export function snappyCompress(input: Uint8Array, output: Scratch): void {
  output.reserve(frameHeader.length).set(frameHeader, output.length);
  output.length += frameHeader.length;
  for (let from = 0; from < input.length; from += blockBytes) {
    const to = Math.min(input.length, from + blockBytes);
    const room = 4 + 5 + (to - from) + Math.ceil((to - from) / 6);
    const bytes = output.reserve(room);
    const lengthAt = output.length;
    const end = encodeBlock(input.subarray(from, to), bytes, lengthAt + 4);
    new DataView(bytes.buffer, bytes.byteOffset).setUint32(lengthAt, end - lengthAt - 4);
    output.length = end;
  }
}

/** Magic, then version 1 and lowest compatible version 1. */
const frameHeader = Uint8Array.of(
  0x82,
  0x53,
  0x4e,
  0x41,
  0x50,
  0x50,
  0x59,
  0,
  0,
  0,
  0,
  1,
  0,
  0,
  0,
  1,
);
/** Bytes of a block before compression: distances inside it fit into two bytes. */
const blockBytes = 32_768;

function isFramed(input: Uint8Array): boolean {
  if (input.length < frameHeader.length) return false;
  for (let i = 0; i < 8; i += 1) if (input[i] !== frameHeader[i]) return false;
  return true;
}

function fault(text: string): Error {
  return compressionError("compressed_data", `in its snappy data ${text}`);
}

// oxlint-disable-next-line eslint/max-params -- a byte range and where it goes
function decodeBlock(input: Uint8Array, from: number, to: number, output: Scratch): void {
  let at = from;
  let size = 0;
  for (let shift = 0; ; shift += 7) {
    if (at >= to || shift > 28) throw fault("the size of a block is cut off");
    const byte = input[at]!;
    at += 1;
    size += (byte & 127) * 2 ** shift;
    if (byte < 128) break;
  }
  const start = output.length;
  const walk = { input, at, to, out: output.reserve(size), put: start, start, end: start + size };
  while (walk.at < to) {
    const tag = input[walk.at]!;
    walk.at += 1;
    if ((tag & 3) === 0) decodeLiteral(walk, tag);
    else decodeCopy(walk, tag);
  }
  if (walk.put !== walk.end) throw fault("a block is shorter than it says");
  output.length = walk.end;
}

/** A block being decoded: `input[at, to)` is left, `out[start, put)` is done, `end` is wanted. */
interface Walk {
  readonly input: Uint8Array;
  at: number;
  readonly to: number;
  readonly out: Uint8Array;
  put: number;
  readonly start: number;
  readonly end: number;
}

function decodeLiteral(walk: Walk, tag: number): void {
  let count = (tag >>> 2) + 1;
  if (count > 60) {
    const width = count - 60;
    if (width > walk.to - walk.at) throw fault("a literal is cut off");
    count = littleEndian(walk.input, walk.at, width) + 1;
    walk.at += width;
  }
  if (count > walk.to - walk.at || count > walk.end - walk.put) {
    throw fault("a literal runs past the end");
  }
  copyLiteral(walk.input, walk.at, walk.out, walk.put, count);
  walk.at += count;
  walk.put += count;
}

function decodeCopy(walk: Walk, tag: number): void {
  const kind = tag & 3;
  const width = kind === 3 ? 4 : kind;
  if (width > walk.to - walk.at) throw fault("a copy is cut off");
  const low = littleEndian(walk.input, walk.at, width);
  walk.at += width;
  const count = kind === 1 ? ((tag >>> 2) & 7) + 4 : (tag >>> 2) + 1;
  const distance = kind === 1 ? ((tag >>> 5) << 8) | low : low;
  if (distance === 0 || distance > walk.put - walk.start || count > walk.end - walk.put) {
    throw fault("a copy points outside of the block");
  }
  copyMatch(walk.out, walk.put, distance, count);
  walk.put += count;
}

function littleEndian(bytes: Uint8Array, at: number, width: number): number {
  let value = 0;
  for (let i = width - 1; i >= 0; i -= 1) value = value * 256 + bytes[at + i]!;
  return value;
}

const table = new Int32Array(matchSlots);

/** Greedy: the newest position with the same four bytes is taken. Returns the end in `out`. */
function encodeBlock(input: Uint8Array, out: Uint8Array, start: number): number {
  let put = start;
  let size = input.length;
  for (; size > 127; size >>>= 7) {
    out[put] = (size & 127) | 128;
    put += 1;
  }
  out[put] = size;
  put += 1;
  table.fill(-1);
  let at = 0;
  let literalFrom = 0;
  while (at + 4 <= input.length) {
    const slot = matchSlot(input, at);
    const candidate = table[slot]!;
    table[slot] = at;
    const end = candidate < 0 ? at : matchEnd(input, at, candidate, input.length);
    if (end - at < 4) {
      at += 1 + ((at - literalFrom) >>> 6);
      continue;
    }
    put = putLiteral(input.subarray(literalFrom, at), out, put);
    put = putCopy(out, put, at - candidate, end - at);
    at = end;
    literalFrom = end;
  }
  return putLiteral(input.subarray(literalFrom), out, put);
}

function putLiteral(literal: Uint8Array, out: Uint8Array, start: number): number {
  const last = literal.length - 1;
  if (last < 0) return start;
  let put = start;
  if (last < 60) {
    out[put] = last << 2;
  } else if (last < 256) {
    out[put] = 60 << 2;
    out[++put] = last;
  } else {
    out[put] = 61 << 2;
    out[++put] = last & 255;
    out[++put] = last >>> 8;
  }
  copyLiteral(literal, 0, out, put + 1, literal.length);
  return put + 1 + literal.length;
}

/** Copies of at most 64 bytes with a two-byte distance. */
// oxlint-disable-next-line eslint/max-params -- runs per match
function putCopy(out: Uint8Array, start: number, distance: number, count: number): number {
  let put = start;
  for (let rest = count; rest > 0; rest -= 64) {
    out[put] = ((Math.min(rest, 64) - 1) << 2) | 2;
    out[put + 1] = distance & 255;
    out[put + 2] = distance >>> 8;
    put += 3;
  }
  return put;
}
