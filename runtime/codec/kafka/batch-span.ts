import { batchField, readInt64 } from "./record-batch.ts";

/** The whole batches at the beginning of some bytes. */
export interface BatchSpan {
  /** Bytes they take; 0 if there is none. */
  readonly length: number;
  /** Base offset of the first, -1 if there is none. */
  readonly baseOffset: number;
  /** Offset after the last, -1 if there is none: where a reader of these bytes goes on. */
  readonly nextOffset: number;
}

/**
 * What of `bytes` is whole batches: a broker cuts an answer where its limit falls. Looks at the
 * headers only and checks nothing else. O(batches).
 */
export function batchSpan(bytes: Uint8Array): BatchSpan {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let at = 0;
  let last = -1;
  while (bytes.length - at >= batchField.records) {
    const length = view.getInt32(at + batchField.length) + batchField.leaderEpoch;
    if (length < batchField.records || length > bytes.length - at) break;
    last = at;
    at += length;
  }
  if (last < 0) return { length: 0, baseOffset: -1, nextOffset: -1 };
  const lastOffset = readInt64(view, last) + view.getInt32(last + batchField.lastOffsetDelta);
  return { length: at, baseOffset: readInt64(view, 0), nextOffset: lastOffset + 1 };
}
