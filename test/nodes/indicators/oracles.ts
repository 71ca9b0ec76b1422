import { type Bar } from "./indicator.suite.ts";

/** The last `length` closes, worked out anew each time. */
export class LastCloses {
  readonly #closes: number[] = [];
  readonly #length: number;
  readonly #of: (closes: readonly number[]) => number;

  constructor(length: number, of: (closes: readonly number[]) => number) {
    this.#length = length;
    this.#of = of;
  }

  take({ close }: Bar): void {
    this.#closes.push(close);
    if (this.#closes.length > this.#length) this.#closes.shift();
  }

  value(): number {
    return this.#of(this.#closes);
  }
}

/** `value += weight · (x − value)` that never forgets; NaN is passed over. */
export class Endless {
  readonly #weight: number;
  #value = Number.NaN;
  #newest = Number.NaN;

  constructor(weight: number) {
    this.#weight = weight;
  }

  take(x: number): void {
    this.#newest = x;
    if (Number.isNaN(x)) return;
    this.#value = Number.isNaN(this.#value) ? x : this.#value + this.#weight * (x - this.#value);
  }

  value(): number {
    return Number.isNaN(this.#newest) ? Number.NaN : this.#value;
  }
}

/** Mean of `values`. */
export function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
