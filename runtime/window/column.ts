import { type Interval } from "../core/interval.ts";
import {
  emptyText,
  RollingExtremes,
  RollingMoments,
  type RollingSource,
  RollingSum,
} from "./rolling.ts";

/**
 * A field of a window, oldest first: a reusable read-only view, valid until compute returns. There
 * is no index operator: `at(i)` is as fast and checked.
 */
export interface Column {
  readonly length: number;
  /** Newest value. */
  readonly last: number;
  /** Oldest value. */
  readonly first: number;
  /** Value `i` from the oldest, or from the newest if negative. @throws RangeError beyond length. */
  at(i: number): number;
  /** Sum; kept while the window moves, O(1) amortized. */
  sum(): number;
  /** Mean; O(1) amortized. */
  mean(): number;
  /** Population standard deviation; O(1) amortized. */
  std(): number;
  /** (last − mean) / std, 0 where std is 0; O(1) amortized. */
  zscore(): number;
  /** Smallest value, NaN if one is NaN; O(1) amortized. */
  min(): number;
  /** Largest value, NaN if one is NaN; O(1) amortized. */
  max(): number;
  /** Folds the values from the oldest to the newest. O(length). */
  reduce<T>(fold: (folded: T, value: number, index: number) => T, initial: T): T;
  /** Copies all values to `target`, from `targetStart` on. O(length). */
  copyTo(target: Float64Array, targetStart?: number): void;
  /** Values `from` to `to`, negative counts from the end, as another view. */
  slice(from?: number, to?: number): Column;
  /** Values from the oldest to the newest. */
  [Symbol.iterator](): Iterator<number>;
}

/** What views of one store share. */
export interface ColumnPlace {
  readonly values: Float64Array;
  readonly slots: number;
  readonly interval: Interval;
  /** Column of the view among ts (0) and the fields. */
  readonly column: number;
}

/**
 * The one implementation of `Column`. Windows keep one view per (field, length) and point it at the
 * current slot before each call; rolling helpers are made on first use and belong to the view.
 */
export class ColumnView implements Column, RollingSource {
  values: Float64Array;
  start = 0;
  startTs = 0;
  length = 0;
  slot = 0;
  stamp = 0;
  readonly column: number;
  /** Rows it shows when it is not empty. */
  readonly width: number;
  readonly #place: ColumnPlace;
  #sum: RollingSum | undefined = undefined;
  #moments: RollingMoments | undefined = undefined;
  #extremes: RollingExtremes | undefined = undefined;

  /** A view of `width` rows of one column of `place`. */
  constructor(place: ColumnPlace, width: number) {
    this.values = place.values;
    this.column = place.column;
    this.width = width;
    this.#place = place;
  }

  /** Empties the view: what is read of it from now on is an error. */
  release(): void {
    this.length = 0;
    this.stamp = -1;
  }

  get last(): number {
    return this.at(-1);
  }

  get first(): number {
    return this.at(0);
  }

  at(i: number): number {
    // From the oldest on, as loops go: the fewest checks that a loop can have.
    return i >= 0 && i < this.length ? this.values[(this.start + i) | 0]! : this.#fromNewest(i);
  }

  sum(): number {
    return (this.#sum ?? this.#openSum()).sum(this);
  }

  mean(): number {
    return this.sum() / this.length;
  }

  std(): number {
    const moments = this.#moments ?? this.#openMoments();
    moments.roll(this);
    return moments.std(this);
  }

  zscore(): number {
    const moments = this.#moments ?? this.#openMoments();
    moments.roll(this);
    return moments.zscore(this);
  }

  min(): number {
    return (this.#extremes ?? this.#openExtremes()).min(this);
  }

  max(): number {
    return (this.#extremes ?? this.#openExtremes()).max(this);
  }

  reduce<T>(fold: (folded: T, value: number, index: number) => T, initial: T): T {
    this.#check();
    let folded = initial;
    for (let i = 0; i < this.length; i += 1) folded = fold(folded, this.values[this.start + i]!, i);
    return folded;
  }

  copyTo(target: Float64Array, targetStart = 0): void {
    this.#check();
    if (targetStart + this.length > target.length) throw beyond(this.length, target.length);
    for (let i = 0; i < this.length; i += 1) target[targetStart + i] = this.values[this.start + i]!;
  }

  slice(from = 0, to = this.length): Column {
    this.#check();
    const first = Math.max(0, from < 0 ? from + this.length : from);
    const end = Math.min(this.length, to < 0 ? to + this.length : to);
    return new SlicedColumn(this, first, Math.max(0, end - first));
  }

  [Symbol.iterator](): Iterator<number> {
    return valuesOf(this);
  }

  /** A view that compute kept has length 0: reading it is an error, not a stale value. */
  #check(): void {
    if (this.length === 0) throw beyond(0, 0);
  }

  #fromNewest(i: number): number {
    const index = i + this.length;
    if (!(i < 0 && index >= 0)) throw beyond(i, this.length);
    return this.values[this.start + index]!;
  }

  #openSum(): RollingSum {
    this.#sum = new RollingSum(this.#place.interval, this.width, this.#place.slots);
    return this.#sum;
  }

  #openMoments(): RollingMoments {
    this.#moments = new RollingMoments(this.#place.interval, this.width, this.#place.slots);
    return this.#moments;
  }

  #openExtremes(): RollingExtremes {
    this.#extremes = new RollingExtremes(this.#place.interval, this.width, this.#place.slots);
    return this.#extremes;
  }
}

/** A part of a column; computed over, not rolled: its rows have no identity of their own. */
class SlicedColumn implements Column {
  readonly #of: ColumnView;
  readonly #from: number;
  readonly length: number;

  constructor(of: ColumnView, from: number, length: number) {
    this.#of = of;
    this.#from = from;
    this.length = length;
  }

  get last(): number {
    return this.at(-1);
  }

  get first(): number {
    return this.at(0);
  }

  at(i: number): number {
    const index = i < 0 ? i + this.length : i;
    if (!(index >= 0 && index < this.length)) throw beyond(i, this.length);
    return this.#of.at(this.#from + index);
  }

  sum(): number {
    return this.reduce((sum, value) => sum + value, 0);
  }

  mean(): number {
    return this.sum() / this.length;
  }

  std(): number {
    const mean = this.mean();
    return Math.sqrt(this.reduce((sum, value) => sum + (value - mean) ** 2, 0) / this.length);
  }

  zscore(): number {
    const std = this.std();
    return std === 0 ? 0 : (this.last - this.mean()) / std;
  }

  min(): number {
    return this.reduce((min, value) => Math.min(min, value), Number.POSITIVE_INFINITY);
  }

  max(): number {
    return this.reduce((max, value) => Math.max(max, value), Number.NEGATIVE_INFINITY);
  }

  reduce<T>(fold: (folded: T, value: number, index: number) => T, initial: T): T {
    let folded = initial;
    for (let i = 0; i < this.length; i += 1) folded = fold(folded, this.at(i), i);
    return folded;
  }

  copyTo(target: Float64Array, targetStart = 0): void {
    if (targetStart + this.length > target.length) throw beyond(this.length, target.length);
    for (let i = 0; i < this.length; i += 1) target[targetStart + i] = this.at(i);
  }

  slice(from = 0, to = this.length): Column {
    const first = Math.max(0, from < 0 ? from + this.length : from);
    const end = Math.min(this.length, to < 0 ? to + this.length : to);
    return new SlicedColumn(this.#of, this.#from + first, Math.max(0, end - first));
  }

  [Symbol.iterator](): Iterator<number> {
    return valuesOf(this);
  }
}

function* valuesOf(column: Column): Generator<number> {
  for (let i = 0; i < column.length; i += 1) yield column.at(i);
}

function beyond(index: number, length: number): RangeError {
  return length === 0
    ? new RangeError(emptyText)
    : new RangeError(
        `Cannot read value ${index} of a column: it has ${length}, wanted one of them`,
      );
}
