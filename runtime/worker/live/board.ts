/**
 * What the threads of a live run show to the coordinator, without messages or locks: one row per
 * thread, written by that thread alone.
 *
 *   ints    Int32[thread][5]      node that runs (-1: none), records run, turns of the loop,
 *                                 partition that is computed on, node that failed (-1: none)
 *   floats  Float64[thread][…]    sums since the thread began, in the order of `boardFields`;
 *                                 `stagesDone`: `StageGate`
 */
export interface BoardMemory {
  readonly threads: number;
  readonly ints: SharedArrayBuffer;
  readonly floats: SharedArrayBuffer;
}

/** Names of the floats: counts, bytes, and times in ms. */
export const boardFields = [
  "records",
  "bytes",
  "outputs",
  "slowPath",
  "deadLetters",
  "firstFetchMs",
  "firstRecordMs",
  "lastRecordMs",
  "fetchMs",
  "computeMs",
  "decodeMs",
  "flushMs",
  "checkpoints",
  "checkpointMs",
  "offsetResets",
  "stagesDone",
] as const;

/** A field of the board. */
export type BoardField = (typeof boardFields)[number];

const intsPerThread = 5;

/** Memory for a board of `threads` rows. */
export function newBoardMemory(threads: number): BoardMemory {
  return {
    threads,
    ints: new SharedArrayBuffer(threads * intsPerThread * 4),
    floats: new SharedArrayBuffer(threads * boardFields.length * 8),
  };
}

/** One thread's row, for its owner to write and others to read. */
export class BoardRow {
  /** [node that runs, records run]: what generated code writes to. */
  readonly heartbeat: Int32Array;
  readonly #turns: Int32Array;
  readonly #floats: Float64Array;

  constructor(memory: BoardMemory, thread: number) {
    const at = thread * intsPerThread * 4;
    this.heartbeat = new Int32Array(memory.ints, at, 2);
    this.#turns = new Int32Array(memory.ints, at + 8, 3);
    this.#floats = new Float64Array(
      memory.floats,
      thread * boardFields.length * 8,
      boardFields.length,
    );
  }

  /** Changes while the thread gets on: with each record and each turn of its loop. */
  get beats(): number {
    return Atomics.load(this.heartbeat, 1) + Atomics.load(this.#turns, 0);
  }

  /** The loop turned once more. */
  beat(): void {
    Atomics.add(this.#turns, 0, 1);
  }

  /** Partition that is computed on: with the node that runs, it says whose crash it is. */
  get partition(): number {
    return Atomics.load(this.#turns, 1);
  }

  set partition(partition: number) {
    Atomics.store(this.#turns, 1, partition);
  }

  /** A thread begins: nothing runs and nothing has failed. */
  begin(): void {
    Atomics.store(this.heartbeat, 0, -1);
    Atomics.store(this.#turns, 2, -1);
  }

  /** The thread ends by a failure: of the node that runs, if one does. */
  fail(): void {
    Atomics.store(this.#turns, 2, Atomics.load(this.heartbeat, 0));
    Atomics.store(this.heartbeat, 0, -1);
  }

  /** Node that failed, or runs; -1 if none. */
  get culprit(): number {
    return Math.max(Atomics.load(this.#turns, 2), Atomics.load(this.heartbeat, 0));
  }

  get(field: BoardField): number {
    return this.#floats[boardFields.indexOf(field)]!;
  }

  set(field: BoardField, value: number): void {
    this.#floats[boardFields.indexOf(field)] = value;
  }

  add(field: BoardField, value: number): void {
    this.#floats[boardFields.indexOf(field)]! += value;
  }
}

/** Sum of a field over all threads. */
export function boardSum(rows: readonly BoardRow[], field: BoardField): number {
  return rows.reduce((sum, row) => sum + row.get(field), 0);
}
