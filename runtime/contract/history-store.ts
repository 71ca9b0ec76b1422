import { type IntervalName } from "../core/interval.ts";
import { type ColumnBatch } from "./columns.ts";
import { type Schema } from "./schema.ts";

/** Half-open range of open times, `[start, end)`, ms since epoch. */
export interface TimeRange {
  readonly start: number;
  readonly end: number;
}

/** What a history store knows a node's records by: the identity and the shape of the rows. */
export interface Series {
  /** 32 hex digits: definition and key. */
  readonly nodeId: string;
  readonly definitionId: string;
  /** Symbol, or a join's keys joined by `|`. */
  readonly key: string;
  readonly interval: IntervalName;
  readonly schema: Schema;
  /** The node's name when it was last stored: a label for people, no part of the identity. */
  readonly name?: string;
}

/**
 * What is known of a range of time: `have` holds every closed bar there is, `empty` was asked for
 * and has none (confirmed), all else is missing. Both are sorted, disjoint and merged.
 */
export interface Coverage {
  readonly have: readonly TimeRange[];
  readonly empty: readonly TimeRange[];
}

/** Rows and what they settle, stored as one. */
export interface HistoryPage {
  readonly rows: ColumnBatch;
  /** Ranges that `rows` settle; rows outside of them are allowed (a revision). */
  readonly have: readonly TimeRange[];
  readonly empty: readonly TimeRange[];
}

/** What an implementation can do beyond the contract; the suite reads it. */
export interface HistoryCapabilities {
  /** `single`: a second writer is refused with STORE_LOCKED. `many`: writes are merged by identity. */
  readonly writers: "single" | "many";
  /** True if a page's rows and coverage become durable in one step. */
  readonly isPageAtomic: boolean;
}

/**
 * Rows and coverage by node (DESIGN §7: history is complete or says where it is not).
 *
 *   H1  A row is known by (nodeId, ts, seq); writing it again replaces it (a revision).
 *   H2  Coverage never claims what is not durable: rows first, then coverage, or both as one.
 *   H3  `fetch` yields rows in rising (ts, seq) order, each once, NaN and empty alike as NaN.
 *   H4  After `persist` resolves, `fetch` and `coverage` of any reader see the page.
 *   H5  A writer and its readers never block each other for longer than a page.
 */
export interface HistoryStore {
  readonly capabilities: HistoryCapabilities;

  /**
   * What is known of `series` over all time; nothing known gives two empty lists.
   *
   * @throws QmtlError STORE_UNAVAILABLE (retry: backoff), STORE_CORRUPT, STORE_CLOSED (never).
   */
  coverage(series: Series, signal: AbortSignal): Promise<Coverage>;

  /**
   * Rows with `start <= ts < end` in batches of at most 65,536 rows. A batch is the caller's until
   * the next one is asked for, so copy what you keep.
   */
  fetch(series: Series, range: TimeRange, signal: AbortSignal): AsyncIterable<ColumnBatch>;

  /**
   * Stores the page. Resolves once it is durable and visible; an empty page is allowed.
   *
   * @throws QmtlError STORE_FULL, STORE_READ_ONLY, STORE_REJECTED (never; nothing of the page is
   *   visible where `isPageAtomic`), STORE_UNAVAILABLE (retry: backoff; writing it again is safe).
   */
  persist(series: Series, page: HistoryPage, signal: AbortSignal): Promise<void>;

  /** Forgets rows and coverage of `series` inside `range` (`--refetch`). */
  forget(series: Series, range: TimeRange, signal: AbortSignal): Promise<void>;

  /** All series that have rows or coverage. */
  list(signal: AbortSignal): Promise<readonly Series[]>;

  /** Releases everything; safe to call twice, never throws. */
  close(): Promise<void>;
}

/** How a store is opened. */
export interface HistoryOpenOptions {
  /** A reader never takes the writer's lock. */
  readonly mode: "read" | "write";
  /** Simulated rows never enter the real store: file suffix `.simulated`, table suffix `_simulated`. */
  readonly isSimulated: boolean;
}

/** A connector's door: opens the store that `url` names. */
export type OpenHistoryStore = (
  url: string,
  options: HistoryOpenOptions,
  signal: AbortSignal,
) => Promise<HistoryStore>;
