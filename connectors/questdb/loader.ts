import {
  type ColumnBatch,
  type Coverage,
  type Exchange,
  type FillResult,
  fillMissing,
  type HistoryPage,
  type HistoryStore,
  QmtlError,
  type Series,
  type TimeRange,
} from "../../runtime/index.ts";
import { type DeadLetter, openHistory } from "./history.ts";

/** Where a loader reads, and where it asks for what is missing. */
export interface QuestdbLoaderOptions {
  readonly url: string;
  /** Asked by `fillMissing`; without it the loader only reads. */
  readonly fetcher?: Exchange;
  /** Default: what the fetcher says of itself, else false. */
  readonly isSimulated?: boolean;
}

/** Reads history, and completes it from an exchange. Fits as a stream's `historyProvider`. */
export interface QuestdbLoader {
  readonly url: string;
  coverage(series: Series, signal: AbortSignal): Promise<Coverage>;
  fetch(series: Series, range: TimeRange, signal: AbortSignal): AsyncIterable<ColumnBatch>;
  /**
   * Fetches and stores what is missing of `range`, page by page; see `fillMissing` of the runtime.
   *
   * @throws QmtlError ARGUMENT_INVALID if there is no fetcher.
   */
  fillMissing(series: Series, range: TimeRange, signal: AbortSignal): Promise<FillResult>;
  /** Safe to call twice; the fetcher is its owner's to close. */
  close(): Promise<void>;
}

/** Where a recorder writes. */
export interface QuestdbRecorderOptions {
  readonly url: string;
  readonly isSimulated?: boolean;
  /** Told each row that was not stored; it lies in the table of dead letters too. */
  readonly onDeadLetter?: (letter: DeadLetter) => void;
}

/** Writes history. Fits as a stream's `eventRecorder`. */
export interface QuestdbRecorder {
  readonly url: string;
  /** Resolves once the page is durable and visible; see `HistoryStore.persist`. */
  persist(series: Series, page: HistoryPage, signal: AbortSignal): Promise<void>;
  /** Safe to call twice. */
  close(): Promise<void>;
}

/** A loader; it connects when it is first used. All users of one URL share one connection. */
export function questdbLoader(options: QuestdbLoaderOptions): QuestdbLoader {
  const { url, fetcher, isSimulated = fetcher?.isSimulated ?? false } = options;
  const mode = fetcher === undefined ? "read" : "write";
  const store = new LazyStore(
    async (signal) => await openHistory(url, { mode, isSimulated }, signal),
  );
  return {
    url,
    coverage: async (series, signal) => await (await store.get(signal)).coverage(series, signal),
    async *fetch(series, range, signal) {
      yield* (await store.get(signal)).fetch(series, range, signal);
    },
    async fillMissing(series, range, signal) {
      if (fetcher === undefined) {
        throw new QmtlError(
          "ARGUMENT_INVALID",
          `Cannot fill the history of "${series.key}": the loader has no fetcher, wanted questdbLoader({ url, fetcher })`,
        );
      }
      const fill = { store: await store.get(signal), exchange: fetcher, series, range };
      return await fillMissing(fill, signal);
    },
    close: async () => await store.close(),
  };
}

/** A recorder; it connects when it is first used. All users of one URL share one connection. */
export function questdbRecorder(options: QuestdbRecorderOptions): QuestdbRecorder {
  const { url, isSimulated = false, onDeadLetter } = options;
  const more = onDeadLetter === undefined ? {} : { onDeadLetter };
  const store = new LazyStore(
    async (signal) => await openHistory(url, { mode: "write", isSimulated, ...more }, signal),
  );
  return {
    url,
    async persist(series, page, signal) {
      await (await store.get(signal)).persist(series, page, signal);
    },
    close: async () => await store.close(),
  };
}

/** A store that is opened by its first use; an opening that failed is tried again by the next. */
class LazyStore {
  readonly #open: (signal: AbortSignal) => Promise<HistoryStore>;
  #store: Promise<HistoryStore> | undefined;
  #isClosed = false;

  constructor(open: (signal: AbortSignal) => Promise<HistoryStore>) {
    this.#open = open;
  }

  async get(signal: AbortSignal): Promise<HistoryStore> {
    if (this.#isClosed) {
      throw new QmtlError("STORE_CLOSED", "Cannot use the store: it is closed, wanted it open");
    }
    const opening = (this.#store ??= this.#open(signal));
    try {
      return await opening;
    } catch (error) {
      if (this.#store === opening) this.#store = undefined;
      throw error;
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    const [opened] = await Promise.allSettled([this.#store]);
    if (opened.status === "fulfilled") await opened.value?.close();
  }
}
