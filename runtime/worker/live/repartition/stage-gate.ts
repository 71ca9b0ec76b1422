import { type Clock } from "../../../core/clock.ts";
import { type BoardRow } from "../board.ts";

/** Time between two looks at the other threads, ms. */
const lookMs = 5;

/** What a thread has come to, among all threads of a run; the next depth is one more. */
export const stageDone = {
  /** Its tasks have their positions: what is forwarded from now on is read by them. */
  opened: 1,
  /** The last record of the run's inputs has been forwarded, and is acknowledged. */
  forwarded: 2,
} as const;

/**
 * Where the threads of a run wait for each other; only runs with repartitions do. A thread that is
 * started anew finds the gates open that it had come through.
 */
export class StageGate {
  readonly #row: BoardRow;
  readonly #rows: readonly BoardRow[];
  readonly #clock: Clock;

  /** `row` is the own thread's, one of `rows`. */
  constructor(row: BoardRow, rows: readonly BoardRow[], clock: Clock) {
    this.#row = row;
    this.#rows = rows;
    this.#clock = clock;
  }

  /** Resolves when every thread has come to `stage`. @throws the signal's reason. */
  async pass(stage: number, signal: AbortSignal): Promise<void> {
    this.#row.set("stagesDone", Math.max(stage, this.#row.get("stagesDone")));
    while (this.#rows.some((row) => row.get("stagesDone") < stage)) {
      this.#row.beat();
      await this.#clock.sleep(lookMs, signal);
    }
  }
}
