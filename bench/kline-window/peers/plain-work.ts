import { windowBars } from "../workload.ts";

/** The work's environment, as every peer gets it. */
export const work = {
  broker: process.argv[2] ?? "127.0.0.1:9092",
  topic: process.env["TOPIC"] ?? "kline",
  out: process.env["OUT"] ?? "signals",
  records: Number(process.env["N"] ?? "2000000"),
  isLatency: process.env["MODE"] === "latency",
  skip: Number(process.env["SKIP"] ?? "0"),
} as const;

/** The last closes of a symbol, with running sums. */
class Window {
  readonly #closes = new Float64Array(windowBars);
  #count = 0;
  #at = 0;
  #sum = 0;
  #squares = 0;

  /** Deviations of `close` from the mean of its window; 0 until the window is full. */
  push(close: number): number {
    const gone = this.#closes[this.#at]!;
    this.#closes[this.#at] = close;
    this.#at = (this.#at + 1) % windowBars;
    this.#count += 1;
    this.#sum += close - gone;
    this.#squares += close * close - gone * gone;
    if (this.#count < windowBars) return 0;
    const mean = this.#sum / windowBars;
    const variance = this.#squares / windowBars - mean * mean;
    return variance > 0 ? (close - mean) / Math.sqrt(variance) : 0;
  }
}

/** What a plain consumer loop does with each message, and what it reports. */
export class PlainWork {
  readonly #windows = new Map<string, Window>();
  readonly #latencyUs: number[] = [];
  #records = 0;
  #signals = 0;
  #startMs = 0;
  #firstMs = 0;
  #endMs = 0;

  /** Call just before the first poll. */
  start(): void {
    this.#startMs = performance.now();
  }

  get isDone(): boolean {
    return this.#records >= work.records;
  }

  /** The signal's value, if this bar is one: MessagePack `[openTime u64, z f64]`. */
  take(key: string, bar: readonly number[]): Buffer | undefined {
    if (this.#records === 0) this.#firstMs = performance.now();
    let window = this.#windows.get(key);
    if (window === undefined) {
      window = new Window();
      this.#windows.set(key, window);
    }
    const z = window.push(bar[4]!);
    this.#records += 1;
    if (work.isLatency) {
      this.#latencyUs.push((performance.timeOrigin + performance.now()) * 1_000 - bar[6]!);
    }
    if (this.isDone) this.#endMs = performance.now();
    if (z >= -2 && z <= 2) return undefined;
    this.#signals += 1;
    return signalOf(bar[0]!, z);
  }

  /** Prints the RESULT line. */
  report(): void {
    const head = `RESULT msgs=${this.#records} signals=${this.#signals}`;
    if (work.isLatency) {
      const sorted = Float64Array.from(this.#latencyUs.slice(work.skip)).toSorted();
      const ms = (share: number): string =>
        (
          (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0) / 1e3
        ).toFixed(3);
      console.log(`${head} p50_ms=${ms(0.5)} p99_ms=${ms(0.99)}`);
      return;
    }
    const seconds = (from: number): string => ((this.#endMs - from) / 1_000).toFixed(4);
    console.log(`${head} secs=${seconds(this.#startMs)} secs_first=${seconds(this.#firstMs)}`);
  }
}

function signalOf(openTime: number, z: number): Buffer {
  const bytes = Buffer.allocUnsafe(19);
  bytes[0] = 0x92;
  bytes[1] = 0xcf;
  bytes.writeBigUInt64BE(BigInt(openTime), 2);
  bytes[10] = 0xcb;
  bytes.writeDoubleBE(z, 11);
  return bytes;
}
