import { type ColumnBatch, sliceColumns } from "../../contract/columns.ts";
import { type ConnectorRef, openByRef } from "../../contract/connector.ts";
import {
  type Coverage,
  type HistoryOpenOptions,
  type HistoryPage,
  type HistoryStore,
  type OpenHistoryStore,
  type Series,
  type TimeRange,
} from "../../contract/history-store.ts";
import { callSilenceMsMax, untilUp } from "./until-up.ts";

/** How an outage is told, and for how long it is waited out. */
export interface OutageOptions {
  /** Gets one line when the store is down, and one when it is up again. */
  readonly onNote: (text: string) => void;
  /** Undefined: until it is up. */
  readonly limitMs: number | undefined;
}

/** A history store, how it is opened, and what is done when it is down. */
export interface LastingHistoryOptions extends OutageOptions {
  readonly ref: ConnectorRef;
  readonly options: HistoryOpenOptions;
}

/**
 * Opens the store that `ref` names, once it is up; its calls outlast an outage as the opening does.
 *
 * @throws what opening it throws but for being down, and the signal's reason.
 */
export async function openLastingHistory(
  { ref, options, ...outage }: LastingHistoryOptions,
  signal: AbortSignal,
): Promise<HistoryStore> {
  const door = await openByRef<OpenHistoryStore>(ref);
  const open = async (): Promise<HistoryStore> => await door(ref.url, options, signal);
  const store = await untilUp({ ...outage, url: ref.url, open }, signal);
  return new LastingHistory(store, ref.url, outage);
}

/**
 * A store whose calls go on by themselves when a server that went away is back. What fails with
 * STORE_UNAVAILABLE may be called again, by contract; a fetch goes on behind the last row it yielded.
 * Calls that wait at the same time are one outage: it is named once, and its end is.
 */
export class LastingHistory implements HistoryStore {
  readonly #store: HistoryStore;
  readonly #url: string;
  readonly #outage: OutageOptions;
  #waiting = 0;

  /** `url` is named as what is down. */
  constructor(store: HistoryStore, url: string, outage: OutageOptions) {
    this.#store = store;
    this.#url = url;
    this.#outage = outage;
  }

  get capabilities(): HistoryStore["capabilities"] {
    return this.#store.capabilities;
  }

  async coverage(series: Series, signal: AbortSignal): Promise<Coverage> {
    return await this.#lasting(async () => await this.#store.coverage(series, signal), signal);
  }

  async *fetch(series: Series, range: TimeRange, signal: AbortSignal): AsyncIterable<ColumnBatch> {
    let batches: AsyncIterator<ColumnBatch> | undefined;
    let last = { ts: range.start, seq: Number.NEGATIVE_INFINITY };
    const next = async (): Promise<IteratorResult<ColumnBatch, unknown>> => {
      const rest = { start: last.ts, end: range.end };
      batches ??= this.#store.fetch(series, rest, signal)[Symbol.asyncIterator]();
      try {
        return await batches.next();
      } catch (error) {
        batches = undefined;
        throw error;
      }
    };
    try {
      for (;;) {
        const { done, value } = await this.#lasting(next, signal);
        if (done === true) return;
        const fresh = behind(value, last);
        if (fresh.count === 0) continue;
        const at = fresh.count - 1;
        last = { ts: fresh.ts[at] ?? last.ts, seq: fresh.seq[at] ?? last.seq };
        yield fresh;
      }
    } finally {
      await batches?.return?.();
    }
  }

  async persist(series: Series, page: HistoryPage, signal: AbortSignal): Promise<void> {
    await this.#lasting(async () => await this.#store.persist(series, page, signal), signal);
  }

  async forget(series: Series, range: TimeRange, signal: AbortSignal): Promise<void> {
    await this.#lasting(async () => await this.#store.forget(series, range, signal), signal);
  }

  async list(signal: AbortSignal): Promise<readonly Series[]> {
    return await this.#lasting(async () => await this.#store.list(signal), signal);
  }

  async close(): Promise<void> {
    await this.#store.close();
  }

  async #lasting<T>(call: () => Promise<T>, signal: AbortSignal): Promise<T> {
    let isWaiting = false;
    const onNote = (text: string): void => {
      isWaiting = !isWaiting;
      this.#waiting += isWaiting ? 1 : -1;
      if (this.#waiting === (isWaiting ? 1 : 0)) this.#outage.onNote(text);
    };
    const { limitMs } = this.#outage;
    try {
      const silenceMsMax = callSilenceMsMax;
      return await untilUp({ url: this.#url, open: call, onNote, limitMs, silenceMsMax }, signal);
    } finally {
      if (isWaiting) this.#waiting -= 1;
    }
  }
}

/** The rows of `batch` behind `last`: those of one ts come in the order of seq. */
function behind(batch: ColumnBatch, last: { readonly ts: number; readonly seq: number }) {
  let from = 0;
  while (from < batch.count && batch.ts[from] === last.ts && (batch.seq[from] ?? 0) <= last.seq) {
    from += 1;
  }
  return from === 0 ? batch : sliceColumns(batch, from, batch.count);
}
