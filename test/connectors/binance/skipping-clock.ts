import { type Clock } from "../../../runtime/index.ts";

/**
 * A clock that stands still while anyone works and jumps to the next deadline once everyone who
 * sleeps has had a turn of the event loop: an hour of back-off takes no time, in the order of the
 * deadlines. Bytes on loopback need real time, in which this clock may jump; so a simulator and a
 * client that share it agree on the time, but latencies mean nothing.
 */
export class SkippingClock implements Clock {
  /** Each sleep that was asked for, ms. */
  readonly sleeps: number[] = [];
  readonly #sleepers = new Set<{ readonly deadlineMs: number; readonly wake: () => void }>();
  #nowMs: number;
  #isJumping = false;

  constructor(nowMs: number) {
    this.#nowMs = nowMs;
  }

  now(): number {
    return this.#nowMs;
  }

  async sleep(ms: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    this.sleeps.push(ms);
    await new Promise<void>((resolve, reject) => {
      const sleeper = {
        deadlineMs: this.#nowMs + ms,
        wake: () => {
          signal.removeEventListener("abort", stop);
          resolve();
        },
      };
      const stop = (): void => {
        this.#sleepers.delete(sleeper);
        reject(signal.reason as Error);
      };
      signal.addEventListener("abort", stop, { once: true });
      this.#sleepers.add(sleeper);
      this.#jumpSoon();
    });
  }

  #jumpSoon(): void {
    if (this.#isJumping || this.#sleepers.size === 0) return;
    this.#isJumping = true;
    setTimeout(() => {
      this.#isJumping = false;
      const next = Math.min(...[...this.#sleepers].map((sleeper) => sleeper.deadlineMs));
      if (next === Number.POSITIVE_INFINITY) return;
      this.#nowMs = Math.max(this.#nowMs, next);
      for (const sleeper of this.#sleepers) {
        if (sleeper.deadlineMs > this.#nowMs) continue;
        this.#sleepers.delete(sleeper);
        sleeper.wake();
      }
      this.#jumpSoon();
    }, 1);
  }
}
