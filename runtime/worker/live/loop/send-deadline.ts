import { QmtlError } from "../../../core/errors.ts";

/** Time for what was computed to be acknowledged once the run is stopped, ms. */
export const drainMsMax = 4_000;
/** The same once the loop has failed: what is on its way then is read back by the next owner. */
export const settleMsMax = 2_000;

/**
 * Until when a loop's sends may go on. They have a signal of their own, as they outlast the run's:
 * after the end of the loop, what is not sent in time is given up.
 */
export class SendDeadline {
  readonly #end = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** Aborts with TRANSPORT_UNAVAILABLE at the deadline. */
  get signal(): AbortSignal {
    return this.#end.signal;
  }

  /** The loop has ended: `ms` are left. The first call counts. */
  begin(ms: number): void {
    this.#timer ??= setTimeout(() => {
      const found = `not acknowledged within ${ms} ms after the loop had ended`;
      this.#end.abort(
        new QmtlError(
          "TRANSPORT_UNAVAILABLE",
          `Cannot send the last outputs: they are ${found}, wanted a transport and a state store that answer`,
        ),
      );
    }, ms);
  }

  /** Nothing is on its way any more. */
  close(): void {
    clearTimeout(this.#timer);
  }
}
