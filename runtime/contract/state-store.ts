/** What a commit came to (DESIGN §7). */
export type CommitResult = "OK" | "FENCED" | "DUP" | "GAP";

/** Pieces of state in their order, gone through once; large state is read as it is asked for. */
export type Pieces = Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

/** Everything a task gets back when it takes ownership; base first, then log. */
export interface Restored {
  /** The new epoch: one more than the last owner's. */
  readonly epoch: number;
  /** Number of the last commit, 0 if there is none. */
  readonly commit: number;
  /** `meta` of the last commit, undefined if there is none. */
  readonly meta: Uint8Array | undefined;
  /** Pieces of the base in the order they were staged. */
  readonly base: Pieces;
  /** Deltas committed since the base, oldest first. */
  readonly log: Pieces;
}

/** One commit: state and position move together. */
export interface Commit {
  readonly epoch: number;
  /** One more than the last commit's. */
  readonly commit: number;
  readonly meta: Uint8Array;
  readonly delta: Uint8Array;
  /** True: the base staged under this commit's number replaces the base and drops the log before it. */
  readonly swapsBase: boolean;
}

/** The newest record of a node and key, for tools and for other deployments. */
export interface LatestValue {
  readonly nodeId: string;
  /** Interval name, `1m`. */
  readonly interval: string;
  /** Encoded record (wire value of DESIGN §6). */
  readonly value: Uint8Array;
  readonly ts: number;
}

/** Node history to append: the newest `keep` records stay. */
export interface HistoryAppend {
  readonly nodeId: string;
  readonly interval: string;
  /** Encoded records in rising ts order. */
  readonly values: readonly Uint8Array[];
  /** Records kept, >= 1. */
  readonly keep: number;
}

/**
 * Checkpoints and small state by task and by node. Every write is safe to repeat after a lost
 * reply. A task is named `deployment/stage/partition`.
 *
 *   S1  epoch ≠ stored → FENCED, commit ≤ stored → DUP, commit ≠ stored + 1 → GAP, else OK; only
 *       OK changes anything.
 *   S2  meta, delta and base swap of one commit become visible as one.
 *   S3  A base is staged in pieces under its commit's number; pieces staged twice count once; a
 *       base that no commit names is dropped by the next `acquire`.
 *   S4  `acquire` returns exactly what the last OK commit left.
 */
export interface StateStore {
  /**
   * Takes ownership: epoch + 1, returns all. Reading base and log ends with `signal` too, and with
   * CHECKPOINT_FENCED if a next owner has taken the task by its end.
   *
   * @throws QmtlError STORE_UNAVAILABLE (retry: backoff); calling it again is safe.
   */
  acquire(task: string, signal: AbortSignal): Promise<Restored>;

  /** Stages piece `index` (0, 1, 2 …) of the base that commit `commit` will swap in. */
  stageBase(
    task: string,
    piece: {
      readonly epoch: number;
      readonly commit: number;
      readonly index: number;
      readonly bytes: Uint8Array;
    },
    signal: AbortSignal,
  ): Promise<"OK" | "FENCED">;

  /** @throws QmtlError STORE_UNAVAILABLE (outcome unknown; the same commit again gives OK or DUP). */
  commit(task: string, commit: Commit, signal: AbortSignal): Promise<CommitResult>;

  /** Removes everything of `task`: a new deployment under an old name. */
  drop(task: string, signal: AbortSignal): Promise<void>;

  /** Sets latest values where `ts` is not older than what is there. */
  putLatest(values: readonly LatestValue[], signal: AbortSignal): Promise<void>;

  /** Latest value of a node, undefined if there is none. */
  getLatest(
    nodeId: string,
    interval: string,
    signal: AbortSignal,
  ): Promise<LatestValue | undefined>;

  /** Appends to node histories, `node:{id}:history:{interval}`, and trims them to `keep`. */
  appendHistory(appends: readonly HistoryAppend[], signal: AbortSignal): Promise<void>;

  /** Newest first, at most `count` encoded records. */
  getHistory(
    nodeId: string,
    interval: string,
    count: number,
    signal: AbortSignal,
  ): Promise<readonly Uint8Array[]>;

  /** Lines for the operator about what the store's settings put at risk; empty if nothing. */
  readonly warnings: readonly string[];

  /** Releases everything; safe to call twice, never throws. */
  close(): Promise<void>;
}

/** The part of a state store that checkpoints need. */
export type CheckpointStore = Pick<StateStore, "acquire" | "stageBase" | "commit" | "drop">;

/** A connector's door: opens the store that `url` names. */
export type OpenStateStore = (url: string, signal: AbortSignal) => Promise<StateStore>;
