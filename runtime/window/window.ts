import { type Row, type Schema } from "../contract/schema.ts";
import { QmtlError } from "../core/errors.ts";
import { type Interval } from "../core/interval.ts";
import { type Column, ColumnView } from "./column.ts";
import { type ColumnStore } from "./column-store.ts";

/**
 * The last `lookback` records of one input and key, oldest first: records, not slots of time, so
 * after a gap the window goes on. Valid until compute returns; iterates as `[ts, record]`.
 */
export interface Window<S extends Schema> {
  /** Records held: the input's lookback. */
  readonly length: number;
  /** True if it holds as many records as the input's lookback. */
  readonly full: boolean;
  /** True if no bar is missing between the oldest and the newest. */
  readonly gapless: boolean;
  /** Open times, ms since epoch. */
  readonly times: Column;
  /**
   * The last `n` values of a field (default: all).
   *
   * @throws QmtlError LOOKBACK_EXCEEDED if n is above the lookback, FIELD_UNKNOWN.
   */
  column(field: keyof S & string, n?: number): Column;
  /**
   * One value, the fast path: `index` from the oldest, or from the newest if negative (default -1).
   *
   * @throws QmtlError LOOKBACK_EXCEEDED beyond the window, FIELD_UNKNOWN.
   */
  value(field: keyof S & string, index?: number): number;
  /** A record as a fresh object. @throws QmtlError LOOKBACK_EXCEEDED. */
  at(index: number): Row<S>;
  [Symbol.iterator](): Iterator<readonly [ts: number, record: Row<S>]>;
}

/** Different lengths a node may ask of one field; each keeps rolling state for every key. */
const lengthsMax = 64;

/** Where a window's rows come from, and what it is called in errors. */
export interface WindowPlace {
  readonly store: ColumnStore;
  readonly fields: readonly string[];
  readonly lookback: number;
  readonly interval: Interval;
  readonly label: string;
}

/**
 * What windows of all schemas share; the fields are the generated part (window-class.ts). A window is
 * pointed at a slot before each call of compute.
 *
 *   W1  It shows the newest `lookback` rows of the slot and nothing else.
 *   W2  Views handed out are pointed anew at the first use after `bind`; the old ones are not kept.
 *   W3  After `release` (development), every view that was handed out is empty.
 */
export abstract class StoreWindow<S extends Schema = Schema> implements Window<S> {
  length = 0;
  readonly lookback: number;
  protected readonly values: Float64Array;
  protected readonly stride: number;
  protected slot = 0;
  /** Index of the row after the newest, in the ts column. */
  protected end = 0;
  protected stamp = 0;
  readonly #place: WindowPlace;
  readonly #times: ColumnView;
  /** Views of other lengths than the lookback, by column. */
  readonly #others: ColumnView[][] = [];
  /** Views that are not empty: what `release` empties. */
  readonly #handedOut: ColumnView[] = [];

  constructor(place: WindowPlace) {
    this.lookback = place.lookback;
    this.values = place.store.values;
    this.stride = place.store.stride;
    this.#place = place;
    this.#times = this.viewOf(0, place.lookback);
  }

  abstract column(field: keyof S & string, n?: number): Column;

  abstract value(field: keyof S & string, index?: number): number;

  /** Points the window at `slot`; false if the slot has fewer rows than the lookback. */
  bind(slot: number): boolean {
    const { store } = this.#place;
    if (store.rows[slot]! < this.lookback) return false;
    this.point(slot, slot * store.slotSize + store.ends[slot]!, store.stamps[slot]! | 0);
    return true;
  }

  /** Points it at the rows of `slot` before `end`, at least `lookback`; `stamp` is modulo 2³². */
  point(slot: number, end: number, stamp: number): void {
    this.slot = slot;
    this.end = end;
    this.stamp = stamp;
    this.length = this.lookback;
  }

  /** Empties every view that was handed out (W3). */
  release(): void {
    this.length = 0;
    this.stamp = -1;
    for (const view of this.#handedOut) view.release();
    this.#handedOut.length = 0;
  }

  get full(): boolean {
    return this.length === this.lookback;
  }

  get gapless(): boolean {
    const { interval } = this.#place;
    for (let i = this.end - this.length + 1; i < this.end; i += 1) {
      if (this.values[i]! > interval.closeOf(this.values[i - 1]!)) return false;
    }
    return true;
  }

  get times(): Column {
    return this.pointed(this.#times, this.length);
  }

  at(index: number): Row<S> {
    return this.#record(this.rowOf(index));
  }

  *[Symbol.iterator](): Generator<readonly [ts: number, record: Row<S>]> {
    for (let i = 0; i < this.length; i += 1) {
      const row = this.rowOf(i);
      yield [this.values[row]!, this.#record(row)];
    }
  }

  /** A view of `width` rows of a column; 0 is ts. */
  protected viewOf(column: number, width: number): ColumnView {
    const { interval, store } = this.#place;
    return new ColumnView({ values: this.values, slots: store.slots, interval, column }, width);
  }

  /** `view`, which has the lookback's length, shows its last `n` rows now, or another one does. */
  protected pointed(view: ColumnView, n: number): ColumnView {
    if (n !== view.length) return this.#open(view, n);
    view.start = this.end - n + view.column * this.stride;
    view.startTs = this.end - n;
    view.slot = this.slot;
    view.stamp = this.stamp;
    return view;
  }

  /** Index of the ts of row `index`, from the oldest, or from the newest if negative. */
  protected rowOf(index: number): number {
    const fromOldest = index < 0 ? index + this.length : index;
    if (!(fromOldest >= 0 && fromOldest < this.length)) throw this.#beyond(index);
    return this.end - this.length + fromOldest;
  }

  protected unknown(field: string): QmtlError {
    const { fields, label } = this.#place;
    return new QmtlError(
      "FIELD_UNKNOWN",
      `Cannot read "${field}" of ${label}: it has the fields ${fields.join(", ")}`,
      { field },
    );
  }

  #record(row: number): Row<S> {
    const record: Record<string, number> = {};
    for (const [i, field] of this.#place.fields.entries()) {
      record[field] = this.values[row + (i + 1) * this.stride]!;
    }
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- built from the schema's fields
    return record as Row<S>;
  }

  /** A view that is empty, or is of another length. */
  #open(view: ColumnView, n: number): ColumnView {
    if (!(n >= 1 && n <= this.length) || !Number.isInteger(n)) throw this.#beyond(n);
    const own = n === view.width ? view : this.#other(view.column, n);
    if (own.length === 0) this.#handedOut.push(own);
    own.length = n;
    return this.pointed(own, n);
  }

  /** Most nodes use one length or two, so a scan beats a map. */
  #other(column: number, n: number): ColumnView {
    const others = (this.#others[column] ??= []);
    const known = others.find(({ width }) => width === n);
    if (known !== undefined) return known;
    if (others.length === lengthsMax - 1) {
      throw new QmtlError(
        "LOOKBACK_EXCEEDED",
        `Cannot read ${this.#place.label} in more than ${lengthsMax} lengths: found another of ${n}, wanted fixed lengths`,
      );
    }
    const made = this.viewOf(column, n);
    others.push(made);
    return made;
  }

  #beyond(n: number): QmtlError {
    const { label, lookback } = this.#place;
    return new QmtlError(
      "LOOKBACK_EXCEEDED",
      `Cannot read ${n} bars of ${label}: its lookback is ${lookback}, wanted at most that (set lookback)`,
      { lookback },
    );
  }
}
