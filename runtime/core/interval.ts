import { QmtlError } from "./errors.ts";

const secondMs = 1_000;
const dayMs = 86_400_000;
/** 1970-01-05, the first Monday of the epoch: weeks open on Mondays, UTC. */
const firstMondayMs = 4 * dayMs;

const lengthOf = {
  "1s": secondMs,
  "1m": 60 * secondMs,
  "3m": 180 * secondMs,
  "5m": 300 * secondMs,
  "15m": 900 * secondMs,
  "30m": 1_800 * secondMs,
  "1h": 3_600 * secondMs,
  "2h": 7_200 * secondMs,
  "4h": 14_400 * secondMs,
  "6h": 21_600 * secondMs,
  "8h": 28_800 * secondMs,
  "12h": 43_200 * secondMs,
  "1d": dayMs,
  "3d": 3 * dayMs,
  "1w": 7 * dayMs,
  /** A month has no fixed length; this is the mean, for estimates only. */
  "1M": 30.436875 * dayMs,
} as const;

/** Bar lengths of the exchange: a minute is `1m`, a month `1M`. */
export type IntervalName = keyof typeof lengthOf;

/** All interval names, finest first. */
// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the keys of the literal above
export const intervalNames = Object.keys(lengthOf) as readonly IntervalName[];

/**
 * A bar length on its UTC grid. Bars are numbered: bar `n` opens at `openOf(n)` and closes where
 * bar `n + 1` opens, so that weeks (Monday) and months (day 1) are intervals like all others.
 */
export class Interval {
  readonly name: IntervalName;
  /** Length in ms; for `1M` the mean length, for estimates only. */
  readonly lengthMs: number;
  readonly #originMs: number;

  private constructor(name: IntervalName) {
    this.name = name;
    this.lengthMs = lengthOf[name];
    this.#originMs = name === "1w" ? firstMondayMs : 0;
  }

  static readonly #known = new Map<string, Interval>(
    intervalNames.map((name) => [name, new Interval(name)]),
  );

  /**
   * The interval that `value` names: a name (`"1m"`), seconds (`60`) or both (`"60s"`).
   *
   * @throws QmtlError INTERVAL_INVALID for anything else, and for none.
   */
  static of(value: unknown): Interval {
    const named = typeof value === "string" ? Interval.#known.get(value) : undefined;
    if (named !== undefined) return named;
    const seconds =
      typeof value === "number"
        ? value
        : typeof value === "string" && /^[1-9]\d{0,8}s$/.test(value)
          ? Number(value.slice(0, -1))
          : Number.NaN;
    for (const interval of Interval.#known.values()) {
      if (interval.name !== "1M" && interval.lengthMs === seconds * secondMs) return interval;
    }
    const found = value === undefined ? "none was given" : `found ${JSON.stringify(value)}`;
    throw new QmtlError(
      "INTERVAL_INVALID",
      `Cannot use the interval: ${found}, wanted one of ${intervalNames.join(" ")} or its length in seconds ("60s", 60)`,
    );
  }

  /** True if every bar has the same length. */
  get isFixed(): boolean {
    return this.name !== "1M";
  }

  /** Number of the bar that holds the instant `timeMs`. */
  indexOf(timeMs: number): number {
    if (this.name !== "1M") return Math.floor((timeMs - this.#originMs) / this.lengthMs);
    const date = new Date(timeMs);
    return (date.getUTCFullYear() - 1970) * 12 + date.getUTCMonth();
  }

  /** Opening time of bar `index`, ms since epoch. */
  openOf(index: number): number {
    if (this.name !== "1M") return this.#originMs + index * this.lengthMs;
    return Date.UTC(1970 + Math.floor(index / 12), ((index % 12) + 12) % 12, 1);
  }

  /** Opening time of the bar that holds `timeMs`. */
  floor(timeMs: number): number {
    return this.openOf(this.indexOf(timeMs));
  }

  /** The first opening time at or after `timeMs`. */
  ceil(timeMs: number): number {
    const open = this.floor(timeMs);
    return open === timeMs ? open : this.openOf(this.indexOf(timeMs) + 1);
  }

  /** Close time of the bar that holds the open time `tsMs`: the next boundary, not ts + length. */
  closeOf(tsMs: number): number {
    return this.openOf(this.indexOf(tsMs) + 1);
  }

  /**
   * True if each bar of this interval is made of whole bars of `finer`. A month is made of days
   * and everything finer, not of weeks or three-day bars; a week not of three-day bars.
   */
  isMultipleOf(finer: Interval): boolean {
    if (finer.name === this.name) return true;
    if (this.name === "1M") return finer.lengthMs <= dayMs;
    if (finer.name === "1M" || finer.lengthMs > this.lengthMs) return false;
    return this.lengthMs % finer.lengthMs === 0 && this.#originMs % finer.lengthMs === 0;
  }

  /** Bars between two times, at most; exact on a fixed grid. */
  countBetween(startMs: number, endMs: number): number {
    return Math.max(0, this.indexOf(endMs - 1) - this.indexOf(startMs) + 1);
  }
}

const unitMs: Readonly<Record<string, number>> = {
  s: secondMs,
  m: 60 * secondMs,
  h: 3_600 * secondMs,
  d: dayMs,
  w: 7 * dayMs,
};

/**
 * Bars that `period` names: an integer >= 1 or a length of time such as `"7d"`, turned into bars.
 *
 * @throws QmtlError PERIOD_INVALID if it is missing, not an integer >= 1, or no whole number of bars.
 */
export function periodBars(period: unknown, interval: Interval): number {
  const bars = typeof period === "string" ? barsOfText(period, interval) : period;
  if (typeof bars === "number" && Number.isSafeInteger(bars) && bars >= 1) return bars;
  const found = period === undefined ? "none was given" : `found ${JSON.stringify(period)}`;
  throw new QmtlError(
    "PERIOD_INVALID",
    `Cannot use the period: ${found}, wanted an integer >= 1 or a length of time in whole bars of ${interval.name} such as "7d"`,
  );
}

function barsOfText(text: string, interval: Interval): number {
  const match = /^([1-9]\d{0,8})([smhdw])$/.exec(text);
  const unit = unitMs[match?.[2] ?? ""];
  if (match === null || unit === undefined || !interval.isFixed) return Number.NaN;
  return (Number(match[1]) * unit) / interval.lengthMs;
}
