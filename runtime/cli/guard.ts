import { QmtlError } from "../core/errors.ts";

/** Runs a command's work: an error is one line and exit code 1, an interrupt ends it in order. */
export async function runGuarded(work: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const stop = new AbortController();
  const onSignal = (): void => {
    stop.abort(new QmtlError("ABORTED", "Cannot go on: interrupted"));
  };
  process.once("SIGINT", onSignal);
  process.once("SIGTERM", onSignal);
  try {
    await work(stop.signal);
  } catch (error) {
    if (!(error instanceof QmtlError)) throw error;
    console.error(`qmtl: ${error.message} [${error.code}]`);
    process.exitCode = stop.signal.aborted ? 130 : 1;
  } finally {
    process.off("SIGINT", onSignal);
    process.off("SIGTERM", onSignal);
  }
}
