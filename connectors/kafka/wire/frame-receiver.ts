import { QmtlError } from "../../../runtime/index.ts";
import { type FrameRange } from "./response-reader.ts";

/** Handles a frame in place; true keeps it until the next kept frame has been handled. */
export type OnFrame = (
  bytes: Uint8Array<ArrayBuffer>,
  view: DataView<ArrayBuffer>,
  range: FrameRange,
) => boolean;

interface Block {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly view: DataView<ArrayBuffer>;
}

/**
 * Cuts a stream of bytes into frames (length i32, then that many bytes) in two buffers that take
 * turns: while the caller reads a kept frame in one, the next frame arrives in the other.
 *
 *   F1  A frame lies in one piece, and is handled once, in order.
 *   F2  A kept frame is not written over before the frame after the next kept one.
 *   F3  A buffer holds at most `frameBytesMax` and one chunk; nothing is allocated once both have
 *       seen the largest frame.
 */
export class FrameReceiver {
  readonly #frameBytesMax: number;
  readonly #onFrame: OnFrame;
  #active = newBlock(65_536);
  #spare: Block | undefined;
  #used = 0;

  constructor(frameBytesMax: number, onFrame: OnFrame) {
    this.#frameBytesMax = frameBytesMax;
    this.#onFrame = onFrame;
  }

  /**
   * Takes the next bytes of the stream; `chunk` is copied.
   *
   * @throws QmtlError MESSAGE_TOO_LARGE if a frame is longer than `frameBytesMax`,
   *   TRANSPORT_UNAVAILABLE if a length is negative; the stream cannot go on after either.
   */
  push(chunk: Uint8Array): void {
    this.#reserve(this.#used + chunk.length);
    this.#active.bytes.set(chunk, this.#used);
    this.#used += chunk.length;
    let at = 0;
    while (this.#used - at >= 4) {
      const end = at + 4 + this.#lengthAt(at);
      if (end > this.#used) {
        this.#compact(at);
        this.#reserve(end - at);
        return;
      }
      const { bytes, view } = this.#active;
      const isKept = this.#onFrame(bytes, view, { from: at + 4, to: end });
      at = isKept ? this.#takeTurns(end) : end;
    }
    this.#compact(at);
  }

  #lengthAt(at: number): number {
    const length = this.#active.view.getInt32(at);
    if (length >= 0 && length <= this.#frameBytesMax) return length;
    const isTooLarge = length > this.#frameBytesMax;
    throw new QmtlError(
      isTooLarge ? "MESSAGE_TOO_LARGE" : "TRANSPORT_UNAVAILABLE",
      `Cannot receive an answer: it has ${length} bytes, wanted at most ${this.#frameBytesMax}`,
      { bytes: length, bytesMax: this.#frameBytesMax },
    );
  }

  /** Leaves the frames before `at` in place and goes on in the other buffer; returns 0. */
  #takeTurns(at: number): number {
    const rest = this.#active.bytes.subarray(at, this.#used);
    const capacity = this.#active.bytes.length;
    const next =
      this.#spare !== undefined && this.#spare.bytes.length >= rest.length
        ? this.#spare
        : newBlock(capacity);
    next.bytes.set(rest);
    this.#spare = this.#active;
    this.#active = next;
    this.#used = rest.length;
    return 0;
  }

  #compact(at: number): void {
    if (at === 0) return;
    this.#active.bytes.copyWithin(0, at, this.#used);
    this.#used -= at;
  }

  #reserve(length: number): void {
    if (length <= this.#active.bytes.length) return;
    const grown = newBlock(capacityFor(length));
    grown.bytes.set(this.#active.bytes.subarray(0, this.#used));
    this.#active = grown;
  }
}

/** Doubled while it is small; then an eighth above, in whole MiB, as answers are nearly of a size. */
function capacityFor(length: number): number {
  if (length <= mebibyte) return 2 ** Math.ceil(Math.log2(length));
  return Math.ceil((length * 1.125) / mebibyte) * mebibyte;
}

const mebibyte = 1_048_576;

function newBlock(length: number): Block {
  const bytes = new Uint8Array(length);
  return { bytes, view: new DataView(bytes.buffer) };
}
