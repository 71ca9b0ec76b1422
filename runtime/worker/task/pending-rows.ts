import { QmtlError } from "../../core/errors.ts";

/** Bars a join holds per input and key while another input is behind, by default. */
export const pendingBarsMax = 100_000;

const firstCapacity = 8;

/**
 * Records of one input and key that wait for their time: a ring that grows to a named limit.
 *
 *   rows  Float64[capacity][width]   close time, then ts and the fields
 */
export class PendingRows {
  /** Close, ts and fields. */
  readonly width: number;
  /** Rises with each change. */
  version = 0;
  readonly #limit: number;
  #rows: Float64Array;
  #capacity = firstCapacity;
  #head = 0;
  #count = 0;

  /** `columns` = ts and fields. */
  constructor(columns: number, limit: number = pendingBarsMax) {
    this.width = columns + 1;
    this.#limit = limit;
    this.#rows = new Float64Array(this.#capacity * this.width);
  }

  get count(): number {
    return this.#count;
  }

  /** Close time of the oldest; Infinity if there is none. */
  get headClose(): number {
    return this.#count === 0 ? Number.POSITIVE_INFINITY : this.#rows[this.#head * this.width]!;
  }

  /**
   * Copies a record to the end: column i is `values[at + i * stride]`. A record whose close is not
   * after the last one's is placed by its close, so that late insertions come in order.
   *
   * @throws QmtlError INPUT_MISSING (never) if `limit` records wait already.
   */
  push(close: number, values: Float64Array, at: number, stride: number): void {
    if (this.#count === this.#capacity) this.#grow();
    let place = this.#count;
    while (place > 0 && this.#rows[this.#index(place - 1)]! > close) {
      const from = this.#index(place - 1);
      this.#rows.copyWithin(this.#index(place), from, from + this.width);
      place -= 1;
    }
    const to = this.#index(place);
    this.#rows[to] = close;
    for (let i = 1; i < this.width; i += 1) this.#rows[to + i] = values[at + (i - 1) * stride]!;
    this.#count += 1;
    this.version += 1;
  }

  /** Moves the oldest to `values` at `at`, columns `stride` apart. */
  shift(values: Float64Array, at: number, stride: number): void {
    const from = this.#head * this.width;
    for (let i = 1; i < this.width; i += 1) {
      values[at + (i - 1) * stride] = this.#rows[from + i]!;
    }
    this.#head = (this.#head + 1) % this.#capacity;
    this.#count -= 1;
    this.version += 1;
  }

  /** Calls `read` with each row's place, oldest first: close, ts and fields side by side. */
  each(read: (rows: Float64Array, at: number, width: number) => void): void {
    for (let i = 0; i < this.#count; i += 1) read(this.#rows, this.#index(i), this.width);
  }

  /** Forgets all rows. */
  clear(): void {
    this.#head = 0;
    this.#count = 0;
    this.version += 1;
  }

  #index(place: number): number {
    return ((this.#head + place) % this.#capacity) * this.width;
  }

  #grow(): void {
    if (this.#capacity >= this.#limit) {
      throw new QmtlError(
        "INPUT_MISSING",
        `Cannot hold more bars for a join: ${this.#count} wait for another input, wanted at most ${this.#limit} (maxPendingBars)`,
      );
    }
    const capacity = Math.min(this.#capacity * 2, this.#limit);
    const rows = new Float64Array(capacity * this.width);
    for (let i = 0; i < this.#count; i += 1) {
      const from = this.#index(i);
      rows.set(this.#rows.subarray(from, from + this.width), i * this.width);
    }
    this.#rows = rows;
    this.#capacity = capacity;
    this.#head = 0;
  }
}
