import { Bench } from "tinybench";

/** `ours` is what is measured, `baseline` what others do instead, `limit` what the machine allows. */
export type Role = "ours" | "baseline" | "limit";

/** One way to do a piece of work; each call of `run` does the same work again. */
export interface BenchCase {
  readonly name: string;
  readonly role: Role;
  /** Records that one `run` works through. */
  readonly rows: number;
  /** What `run` must return: work that is dropped or wrong shows here. */
  readonly digest: number;
  /** What the table says beside the numbers, such as what is asked. */
  readonly note?: string;
  run(): number | Promise<number>;
}

/** Cases with their inputs, ready to run. */
export interface OpenBench {
  readonly cases: readonly BenchCase[];
  /** Releases what was opened. */
  close?(): void | Promise<void>;
}

/** What a case came to. */
export interface Measured {
  readonly name: string;
  readonly role: Role;
  /** Cost of a record, ns. */
  readonly nsPerRecord: number;
  /** True: `nsPerRecord` is a wait, so there is no rate to be had from it. */
  readonly isLatency?: boolean;
  /** What the table says beside the numbers: a latency, bytes of memory. */
  readonly note?: string;
}

/** How long to measure. */
export interface MeasureOptions {
  /** Per case, ms. */
  readonly timeMs: number;
}

/** An entry of the table; those that need servers start them, and run only if they are named. */
export interface Suite {
  readonly name: string;
  readonly needsServers: boolean;
  measure(options: MeasureOptions, signal: AbortSignal): Promise<readonly Measured[]>;
}

/** A piece of work in this thread, done in several ways on the same input. */
export interface MicroSuite {
  readonly name: string;
  /** Records of an input that is large enough to be measured. */
  readonly rows: number;
  /** Makes the inputs: about `rows` records, at least one. */
  open(rows: number): OpenBench | Promise<OpenBench>;
}

/** Rounds in which all cases of a suite alternate, so that a noisy minute hits them alike. */
const rounds = 3;

/**
 * Measures a micro suite with tinybench: the best round's median run. A run takes about a
 * millisecond, so that on a machine that others use too most runs are not interrupted; collections
 * of garbage, which fall into few runs, flatter the baselines.
 */
export function suiteOf(micro: MicroSuite): Suite {
  return {
    name: micro.name,
    needsServers: false,
    measure: async (options, signal) => {
      const open = await micro.open(micro.rows);
      try {
        const found = open.cases.map(() => [] as number[]);
        for (let round = 0; round < rounds; round += 1) {
          for (const [i, one] of open.cases.entries()) {
            found[i]!.push(await measureOnce(one, options.timeMs / rounds, signal));
          }
        }
        return open.cases.map(({ name, role, note }, i) => ({
          name,
          role,
          nsPerRecord: Math.min(...found[i]!),
          ...(note === undefined ? {} : { note }),
        }));
      } finally {
        await open.close?.();
      }
    },
  };
}

/** Runs a case once. @throws Error if its digest is wrong. */
export async function runOnce(one: BenchCase): Promise<void> {
  check(one, await one.run());
}

/** Middle one of `values`. */
export function medianOf(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}

async function measureOnce(one: BenchCase, timeMs: number, signal: AbortSignal): Promise<number> {
  const bench = new Bench({
    time: timeMs,
    iterations: 3,
    warmupTime: timeMs / 4,
    warmupIterations: 2,
    throws: true,
    signal,
  });
  const last: { digest: number | Promise<number> } = { digest: Number.NaN };
  bench.add(one.name, () => {
    last.digest = one.run();
    return last.digest;
  });
  const [task] = await bench.run();
  signal.throwIfAborted();
  check(one, await last.digest);
  const result = task?.result;
  if (result === undefined || !("latency" in result)) {
    throw new Error(`Cannot measure "${one.name}": it did not complete`);
  }
  return (result.latency.p50 * 1e6) / one.rows;
}

function check(one: BenchCase, digest: number): void {
  if (digest === one.digest) return;
  throw new Error(`Cannot trust "${one.name}": its digest is ${digest}, wanted ${one.digest}`);
}
