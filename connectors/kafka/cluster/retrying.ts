import { hasCode, systemClock } from "../../../runtime/index.ts";
import { BackOff } from "../session/back-off.ts";

/** How long to go on. */
export interface RetryLimits {
  /** No new try is begun after this long, ms. */
  readonly forMsMax: number;
  readonly signal: AbortSignal;
}

/**
 * What `run` gives, tried again while it fails with TRANSPORT_UNAVAILABLE; everything `run` does
 * must be safe to repeat.
 *
 * @throws the last error once `forMsMax` is over, any other error at once, or the signal's reason.
 */
export async function retrying<T>(run: () => Promise<T>, limits: RetryLimits): Promise<T> {
  const endMs = performance.now() + limits.forMsMax;
  const backOff = new BackOff(20, 1_000);
  for (;;) {
    limits.signal.throwIfAborted();
    try {
      return await run();
    } catch (error) {
      const isOver = performance.now() >= endMs;
      if (isOver || !hasCode(error, "TRANSPORT_UNAVAILABLE")) throw error;
    }
    await systemClock.sleep(backOff.next(), limits.signal);
  }
}
