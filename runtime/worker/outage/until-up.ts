import { systemClock } from "../../core/clock.ts";
import { errorText, hasCode } from "../../core/errors.ts";

const pauseMsFirst = 250;
const pauseMsMax = 5_000;
/** Silence after which an attempt is named although it goes on: a connector tries by itself, too. */
const silenceMsDefault = 2_000;

/** The same for a call of a store that is open: it takes time, and its connector tries by itself. */
export const callSilenceMsMax = 5_000;

/** What may be down, and how it is opened. */
export interface Dependency<T> {
  /** Its URL, with or without a password. */
  readonly url: string;
  readonly open: () => Promise<T>;
  /** Gets one line when it is down, and one when it is up again. */
  readonly onNote: (text: string) => void;
  /** How long it is waited for; undefined: until it is up. */
  readonly limitMs?: number | undefined;
  /** Silence of an attempt after which it is named. */
  readonly silenceMsMax?: number;
}

/**
 * Opens what may be down: names it in one line, tries again with growing pauses until it is up,
 * and says so.
 *
 * @throws what `open` throws for any other reason, or last before `limitMs` is over; the signal's
 *   reason.
 */
export async function untilUp<T>(
  { url, open, onNote, limitMs, silenceMsMax = silenceMsDefault }: Dependency<T>,
  signal: AbortSignal,
): Promise<T> {
  const shown = url.replace(/\/\/[^@/]*@/, "//***@");
  const endMs = systemClock.now() + (limitMs ?? Number.POSITIVE_INFINITY);
  let pauseMs = pauseMsFirst;
  let isNamed = false;
  const name = (reason: string): void => {
    if (!isNamed) onNote(`Waiting for ${shown}, and trying again: ${reason}`);
    isNamed = true;
  };
  for (;;) {
    const timer = setTimeout(() => name("it does not answer"), silenceMsMax);
    try {
      const opened = await open();
      if (isNamed) onNote(`${shown} is up: going on`);
      return opened;
    } catch (error) {
      if (!hasCode(error, "STORE_UNAVAILABLE", "TRANSPORT_UNAVAILABLE")) throw error;
      if (systemClock.now() + pauseMs > endMs) throw error;
      name(errorText(error));
    } finally {
      clearTimeout(timer);
    }
    await systemClock.sleep(pauseMs, signal);
    pauseMs = Math.min(pauseMsMax, pauseMs * 2);
  }
}
