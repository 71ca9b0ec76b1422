import { systemClock } from "../core/clock.ts";
import { errorText, hasCode } from "../core/errors.ts";

const pauseMsFirst = 250;
const pauseMsMax = 5_000;

/**
 * Opens what may be down: names it in one line, tries again with growing pauses until it is up,
 * and says so.
 *
 * @throws what `open` throws for any other reason, and the signal's reason.
 */
export async function untilUp<T>(
  open: () => Promise<T>,
  onNote: (text: string) => void,
  signal: AbortSignal,
): Promise<T> {
  let pauseMs = pauseMsFirst;
  let isNamed = false;
  for (;;) {
    try {
      const opened = await open();
      if (isNamed) onNote("It is up: going on");
      return opened;
    } catch (error) {
      if (!hasCode(error, "STORE_UNAVAILABLE", "TRANSPORT_UNAVAILABLE")) throw error;
      if (!isNamed) onNote(`Waiting, and trying again: ${errorText(error)}`);
      isNamed = true;
      await systemClock.sleep(pauseMs, signal);
      pauseMs = Math.min(pauseMsMax, pauseMs * 2);
    }
  }
}
