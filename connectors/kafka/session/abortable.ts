import { reasonOf } from "../../../runtime/index.ts";

/**
 * `promise`, or the reason of `signal` if that aborts first; what the promise does then is of no
 * more interest.
 */
export async function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  if (signal.aborted) {
    promise.catch(() => undefined);
    throw reasonOf(signal);
  }
  const stopped = Promise.withResolvers<never>();
  const stop = (): void => stopped.reject(reasonOf(signal));
  signal.addEventListener("abort", stop, { once: true });
  try {
    return await Promise.race([promise, stopped.promise]);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}
