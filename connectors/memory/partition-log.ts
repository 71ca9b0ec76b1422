import { readBatchHeader, recordAtTime, setBaseOffset } from "./record-batch.ts";

/** Batches of one partition, end to end in one block of memory, and where each lies. */
interface Segment {
  readonly bytes: Uint8Array;
  usedBytes: number;
  /** Per batch, in order: first offset, first byte, newest record time. */
  readonly offsets: number[];
  readonly positions: number[];
  readonly timesMsMax: number[];
}

/**
 * The log of one partition: record batches v2, whole, in offset order.
 *
 *   L1  A batch lies in one segment, after the batch before it; its bytes are never written again.
 *   L2  Segments hold at most `bytesMax` bytes together; the oldest goes first and `start` moves.
 *
 * By L1 a reader gets a view of the segment, without a copy. A segment could lie in a
 * SharedArrayBuffer and be read by other threads: nothing above this class would change, for the
 * transport's interface hands out bytes only. Inside one thread a plain block is enough.
 */
export class PartitionLog {
  readonly #bytesMax: number;
  readonly #segments: Segment[] = [];
  #bytes = 0;
  #end = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Oldest offset that is there; `end` if there is none. */
  get start(): number {
    return this.#segments[0]?.offsets[0] ?? this.#end;
  }

  /** Offset the next record will get. */
  get end(): number {
    return this.#end;
  }

  /**
   * Copies one batch to the end.
   *
   * @returns the offset of its first record.
   * @throws QmtlError TRANSPORT_REJECTED if `batch` is not one whole record batch v2.
   */
  append(batch: Uint8Array): number {
    const { recordCount, timeMsMax } = readBatchHeader(batch);
    const segment = this.#segmentFor(batch.length);
    const position = segment.usedBytes;
    const offset = this.#end;
    segment.bytes.set(batch, position);
    setBaseOffset(segment.bytes.subarray(position, position + batch.length), offset);
    segment.usedBytes += batch.length;
    segment.offsets.push(offset);
    segment.positions.push(position);
    segment.timesMsMax.push(timeMsMax);
    this.#end += recordCount;
    return offset;
  }

  /**
   * Whole batches from the one that holds `offset` on: up to `bytesMax` bytes, but at least one if
   * it is no larger than `firstBytesMax`. Undefined if there is nothing; a view, valid for good.
   */
  read(
    offset: number,
    bytesMax: number,
    firstBytesMax: number,
  ): { readonly baseOffset: number; readonly bytes: Uint8Array } | undefined {
    const segment = this.#segments.findLast((part) => (part.offsets[0] ?? 0) <= offset);
    if (segment === undefined || offset >= this.#end) return undefined;
    const first = lastAtOrBelow(segment.offsets, offset);
    const from = segment.positions[first] ?? 0;
    const firstEnd = segment.positions[first + 1] ?? segment.usedBytes;
    let to = from;
    if (segment.usedBytes - from <= bytesMax) to = segment.usedBytes;
    else to = segment.positions[lastAtOrBelow(segment.positions, from + bytesMax)] ?? from;
    if (to <= from && firstEnd - from <= firstBytesMax) to = firstEnd;
    if (to <= from) return undefined;
    return { baseOffset: segment.offsets[first] ?? 0, bytes: segment.bytes.subarray(from, to) };
  }

  /** First offset whose record time is >= `timeMs`, or `end`. O(batches). */
  offsetAt(timeMs: number): number {
    for (const segment of this.#segments) {
      for (const [i, timeMsMax] of segment.timesMsMax.entries()) {
        if (timeMsMax < timeMs) continue;
        const from = segment.positions[i] ?? 0;
        const to = segment.positions[i + 1] ?? segment.usedBytes;
        return (segment.offsets[i] ?? 0) + recordAtTime(segment.bytes.subarray(from, to), timeMs);
      }
    }
    return this.#end;
  }

  /** A segment with room for `bytes` more; makes one, and drops old ones (L2). */
  #segmentFor(bytes: number): Segment {
    const last = this.#segments.at(-1);
    if (last !== undefined && last.bytes.length - last.usedBytes >= bytes) return last;
    // A quarter of the limit, so that dropping one keeps most of what is allowed; segments double
    // up to 1 MiB, so that a thousand quiet partitions cost little.
    const aim = Math.min((last?.bytes.length ?? 8_192) * 2, 1_048_576, this.#bytesMax >>> 2);
    const size = Math.max(bytes, aim);
    while (this.#segments.length > 0 && this.#bytes + size > this.#bytesMax) {
      this.#bytes -= this.#segments.shift()?.bytes.length ?? 0;
    }
    const segment: Segment = {
      bytes: new Uint8Array(size),
      usedBytes: 0,
      offsets: [],
      positions: [],
      timesMsMax: [],
    };
    this.#segments.push(segment);
    this.#bytes += size;
    return segment;
  }
}

/** Index of the last of the rising `values` that is <= `limit`, -1 if there is none. */
function lastAtOrBelow(values: readonly number[], limit: number): number {
  let low = 0;
  let high = values.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((values[middle] ?? Number.NaN) <= limit) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
