import { expect, test } from "bun:test";
import { type Operator, StreamInput } from "../../../nodes/index.ts";
import { type Upstream } from "../../../nodes/typing.ts";
import { buildGraph } from "../../../runtime/graph/graph.ts";
import { type ColumnBatch, newColumnBatch, sliceColumns } from "../../../runtime/index.ts";
import { Task } from "../../../runtime/worker/task/task.ts";

const minuteMs = 60_000;
/** Rows of the long run: 10 M where QMTL_SOAK=1. */
const stepsMax = process.env["QMTL_SOAK"] === "1" ? 10_000_000 : 200_000;
const chunkRows = 8_192;

/** Bars of the suite. */
export const bar = { high: "f64", low: "f64", close: "f64" } as const;

/** One bar as the oracle sees it. */
export interface Bar {
  readonly high: number;
  readonly low: number;
  readonly close: number;
}

/** What each indicator brings. */
export interface IndicatorCase {
  readonly name: string;
  /** Bars before the first output, inclusive. */
  readonly lookback: number;
  make(bars: Upstream<typeof bar>): { readonly declaration: Operator<never, never>["declaration"] };
  /** The batch version: takes bar after bar, says what the indicator is over all or the last n. */
  oracle(): { take(bar: Bar): void; value(): number };
}

/** What makes a walk hard. */
interface WalkTraits {
  readonly gaps: boolean;
  readonly missing: boolean;
  /** Rare values so large that a trace of one shows for longer than any lookback. */
  readonly spikes: boolean;
}

/** Bars of a random walk; every value a multiple of 2^-10, so that they print and add exactly. */
class Walk {
  readonly batch: ColumnBatch = newColumnBatch(chunkRows, 3);
  #seed: number;
  #ts = 1_600_000_000_000 - (1_600_000_000_000 % minuteMs);
  #close = 100;
  readonly #has: WalkTraits;

  constructor(seed: number, has: WalkTraits) {
    this.#seed = seed;
    this.#has = has;
  }

  /** The next `chunkRows` bars, in the same batch. */
  next(): ColumnBatch {
    const [high, low, close] = this.batch.columns;
    for (let i = 0; i < chunkRows; i += 1) {
      this.#ts += minuteMs * (this.#has.gaps ? this.#gap() : 1);
      this.#close = Math.abs(this.#close + (this.chance(2_001) - 1_000) / 1_024) + 1 / 1_024;
      this.batch.ts[i] = this.#ts;
      close![i] = this.#close;
      if (this.#has.spikes && this.chance(300) === 0) close![i] = 2 ** 100;
      high![i] = close![i]! + this.chance(1_024) / 1_024;
      low![i] = close![i]! - this.chance(1_024) / 1_024;
      if (this.#has.missing && this.chance(97) === 0) close![i] = Number.NaN;
    }
    return this.batch;
  }

  /** Mostly none; one bar in 50 comes late, one in 5,000 very late. */
  #gap(): number {
    if (this.chance(5_000) === 0) return 1 + this.chance(20_000);
    return this.chance(50) === 0 ? 1 + this.chance(30) : 1;
  }

  /** An integer from 0 to `below` − 1. */
  chance(below: number): number {
    this.#seed = (Math.imul(this.#seed, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((this.#seed / 2 ** 32) * below);
  }
}

/** An indicator over one key: rows in, `[ts, value]` out. */
class Run {
  readonly #task: Task;
  ts: number[] = [];
  values: number[] = [];

  constructor(subject: IndicatorCase) {
    const bars = new StreamInput({ symbols: ["A"], interval: "1m", period: 1, schema: bar });
    const graph = buildGraph([subject.make(bars).declaration]);
    this.#task = new Task({
      graph,
      owns: () => true,
      isPoisoning: false,
      sink: (_node, rows) => {
        for (let i = 0; i < rows.count; i += 1) {
          this.ts.push(rows.ts[i]!);
          this.values.push(rows.columns[0]![i]!);
        }
      },
    });
  }

  feed(batch: ColumnBatch, from = 0, to: number = batch.count): void {
    this.#task.streamOf(0).takeColumns(0, batch, from, to);
    this.#task.flush();
  }

  /** Forgets what came out. */
  clear(): void {
    this.ts = [];
    this.values = [];
  }
}

/** The rows of `count` chunks of a walk as one batch. */
function rowsOf(walk: Walk, count: number): ColumnBatch {
  const all = newColumnBatch(count * chunkRows, 3);
  for (let chunk = 0; chunk < count; chunk += 1) {
    const part = walk.next();
    const at = sliceColumns(all, chunk * chunkRows, (chunk + 1) * chunkRows);
    at.ts.set(part.ts);
    for (const [i, column] of part.columns.entries()) at.columns[i]!.set(column);
  }
  return all;
}

/** What is asked of every indicator (DESIGN §5): near the batch version, pure to the bit. */
export function runIndicatorSuite(subject: IndicatorCase): void {
  const { name, lookback } = subject;

  for (const missing of [false, true]) {
    test(`${name} stays within 1e-12 of the batch version${missing ? " where values are missing" : ""}`, () => {
      const walk = new Walk(1, { gaps: true, missing, spikes: false });
      const run = new Run(subject);
      const oracle = subject.oracle();
      let rows = 0;
      let worst = 0;
      let wrong = 0;
      while (rows < stepsMax) {
        const batch = walk.next();
        run.feed(batch);
        const skipped = Math.max(0, lookback - 1 - rows);
        for (let i = 0; i < chunkRows; i += 1) {
          const [high, low, close] = batch.columns;
          oracle.take({ high: high![i]!, low: low![i]!, close: close![i]! });
          if (i < skipped) continue;
          const found = run.values[i - skipped]!;
          const wanted = oracle.value();
          if (run.ts[i - skipped] !== batch.ts[i] || Number.isNaN(found) !== Number.isNaN(wanted)) {
            wrong += 1;
          } else if (!Number.isNaN(wanted)) {
            worst = Math.max(worst, Math.abs(found - wanted) / Math.max(1, Math.abs(wanted)));
          }
        }
        run.clear();
        rows += chunkRows;
      }
      expect(wrong).toBe(0);
      expect(worst).toBeLessThanOrEqual(1e-12);
    }, 600_000);
  }

  for (const gaps of [false, true]) {
    test(`${name} gives the same bits from any start${gaps ? ", with gaps" : ""}`, () => {
      const chunks = 2 + Math.ceil((lookback * 4) / chunkRows);
      const rows = rowsOf(new Walk(2, { gaps, missing: true, spikes: true }), chunks);
      const whole = new Run(subject);
      whole.feed(rows);
      const starts = new Walk(3, { gaps, missing: false, spikes: false });
      for (let round = 0; round < 12; round += 1) {
        const from = 1 + starts.chance(rows.count - lookback - 500);
        const to = Math.min(rows.count, from + lookback + 3_000);
        const run = new Run(subject);
        run.feed(rows, from, to);
        expect(run.ts[0]).toBe(rows.ts[from + lookback - 1]);
        expect(run.ts).toHaveLength(to - from - lookback + 1);
        expect(bitsOf(run.values)).toEqual(
          bitsOf(whole.values.slice(from, from + run.values.length)),
        );
      }
    });
  }
}

/** Doubles as integers, so that only equal bits are equal. */
function bitsOf(values: readonly number[]): BigUint64Array {
  return new BigUint64Array(Float64Array.from(values).buffer);
}
