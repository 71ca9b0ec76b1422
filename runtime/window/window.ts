import { type Row, type Schema } from "../contract/schema.ts";
import { QmtlError } from "../core/errors.ts";
import { type Interval } from "../core/interval.ts";
import { type Column, type ColumnPlace, ColumnView } from "./column.ts";
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

/** Views of one field, by length; most nodes use one length, so a scan beats a map. */
interface FieldViews {
  readonly column: number;
  readonly views: ColumnView[];
  readonly lengths: number[];
}

/** Different lengths a node may ask of one field; each keeps rolling state for every key. */
const lengthsMax = 64;

/**
 * The one implementation of `Window`: it is pointed at a slot before each call of compute.
 *
 *   W1  It shows the newest `lookback` rows of the slot and nothing else.
 *   W2  Views handed out are pointed anew at the first use after `bind`; the old ones are not kept.
 *   W3  After `release` (development), every view that was handed out is empty.
 */
export class StoreWindow<S extends Schema = Schema> implements Window<S> {
  length = 0;
  readonly #store: ColumnStore;
  readonly #lookback: number;
  readonly #interval: Interval;
  readonly #label: string;
  readonly #fields: readonly string[];
  readonly #byField: Record<string, FieldViews> = {};
  readonly #times: FieldViews;
  /** Views that are not empty: what `release` empties. */
  readonly #handedOut: ColumnView[] = [];
  #slot = 0;
  /** Index of the row after the newest, in the ts column. */
  #end = 0;
  #stamp = 0;

  /** A window of `lookback` rows on `store`; `label` names the input in errors. */
  constructor(
    store: ColumnStore,
    fields: readonly string[],
    lookback: number,
    place: { readonly interval: Interval; readonly label: string },
  ) {
    this.#store = store;
    this.#lookback = lookback;
    this.#fields = fields;
    this.#interval = place.interval;
    this.#label = place.label;
    Object.setPrototypeOf(this.#byField, null);
    for (const [i, field] of fields.entries()) {
      this.#byField[field] = { column: i + 1, views: [], lengths: [] };
    }
    this.#times = { column: 0, views: [], lengths: [] };
  }

  /** Points the window at `slot`; false if the slot has fewer rows than the lookback. */
  bind(slot: number): boolean {
    const store = this.#store;
    if (store.rows[slot]! < this.#lookback) return false;
    this.#slot = slot;
    this.#end = slot * store.slotSize + store.ends[slot]!;
    this.#stamp = store.stamps[slot]!;
    this.length = this.#lookback;
    return true;
  }

  /** Empties every view that was handed out (W3). */
  release(): void {
    this.length = 0;
    for (const view of this.#handedOut) view.length = 0;
    this.#handedOut.length = 0;
  }

  get full(): boolean {
    return this.length === this.#lookback;
  }

  get gapless(): boolean {
    const first = this.#end - this.length;
    const { values } = this.#store;
    for (let i = first + 1; i < this.#end; i += 1) {
      if (values[i]! > this.#interval.closeOf(values[i - 1]!)) return false;
    }
    return true;
  }

  get times(): Column {
    return this.#view(this.#times, this.length);
  }

  column(field: keyof S & string, n: number = this.length): Column {
    const views = this.#byField[field];
    if (views === undefined) throw this.#unknown(field);
    if (!(n >= 1 && n <= this.length) || !Number.isInteger(n)) throw this.#beyond(n);
    return this.#view(views, n);
  }

  value(field: keyof S & string, index = -1): number {
    const views = this.#byField[field];
    if (views === undefined) throw this.#unknown(field);
    return this.#store.values[this.#rowOf(index) + views.column * this.#store.stride]!;
  }

  at(index: number): Row<S> {
    return this.#record(this.#rowOf(index));
  }

  *[Symbol.iterator](): Generator<readonly [ts: number, record: Row<S>]> {
    for (let i = 0; i < this.length; i += 1) {
      const row = this.#rowOf(i);
      yield [this.#store.values[row]!, this.#record(row)];
    }
  }

  #rowOf(index: number): number {
    const fromOldest = index < 0 ? index + this.length : index;
    if (!(fromOldest >= 0 && fromOldest < this.length)) throw this.#beyond(index);
    return this.#end - this.length + fromOldest;
  }

  #record(row: number): Row<S> {
    const record: Record<string, number> = {};
    for (const [i, field] of this.#fields.entries()) {
      record[field] = this.#store.values[row + (i + 1) * this.#store.stride]!;
    }
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- built from the schema's fields
    return record as Row<S>;
  }

  #view(field: FieldViews, n: number): ColumnView {
    const { lengths, views } = field;
    let i = 0;
    while (i < lengths.length && lengths[i] !== n) i += 1;
    const view = views[i] ?? this.#makeView(field, n);
    if (view.length === 0) this.#handedOut.push(view);
    view.length = n;
    view.start = this.#end - n + field.column * this.#store.stride;
    view.startTs = this.#end - n;
    view.slot = this.#slot;
    view.stamp = this.#stamp;
    return view;
  }

  #makeView(field: FieldViews, n: number): ColumnView {
    if (field.views.length === lengthsMax) {
      throw new QmtlError(
        "LOOKBACK_EXCEEDED",
        `Cannot read ${this.#label} in more than ${lengthsMax} lengths: found another of ${n}, wanted fixed lengths`,
      );
    }
    const place: ColumnPlace = {
      values: this.#store.values,
      slots: this.#store.slots,
      interval: this.#interval,
    };
    const view = new ColumnView(place, n);
    field.views.push(view);
    field.lengths.push(n);
    return view;
  }

  #unknown(field: string): QmtlError {
    return new QmtlError(
      "FIELD_UNKNOWN",
      `Cannot read "${field}" of ${this.#label}: it has the fields ${this.#fields.join(", ")}`,
      { field },
    );
  }

  #beyond(n: number): QmtlError {
    return new QmtlError(
      "LOOKBACK_EXCEEDED",
      `Cannot read ${n} bars of ${this.#label}: its lookback is ${this.#lookback}, wanted at most that (set lookback)`,
      { lookback: this.#lookback },
    );
  }
}
