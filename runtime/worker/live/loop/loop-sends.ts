import { type NodeProfile } from "../../node-profile.ts";
import { type BoardRow } from "../board.ts";
import { type LivePace } from "../live-order.ts";
import { type Checkpoints, type LiveTask } from "../live-task.ts";
import { type DeadLetters } from "../output/dead-letters.ts";
import { type ForwardSenders } from "../repartition/forward-senders.ts";

/** What leaves a loop, and where it goes. */
export interface LoopSendsOptions {
  readonly tasks: readonly LiveTask[];
  /** The ways into repartition topics, if there are any. */
  readonly forwards: ForwardSenders | undefined;
  readonly deadLetters: DeadLetters;
  readonly checkpoints: Checkpoints | undefined;
  readonly pace: Pick<LivePace, "checkpointMs" | "lingerMs">;
  readonly row: BoardRow;
  readonly profile: NodeProfile | undefined;
  readonly signal: AbortSignal;
}

/**
 * What a loop has computed, on its way out: outputs, forwarded records and dead letters; and the
 * checkpoints behind them.
 *
 *   O1  An output is sent `lingerMs` after the batch before it at the latest; at once if its batch is
 *       full, a checkpoint is due or the run ends.
 *   V4  After a failure nothing is committed: the state may hold half a batch.
 */
export class LoopSends {
  readonly #options: LoopSendsOptions;
  #checkpointedMs = performance.now();
  #sealedMs = Number.NEGATIVE_INFINITY;

  constructor(options: LoopSendsOptions) {
    this.#options = options;
  }

  /**
   * Sends what a turn has brought, and waits until there is room for the next one's (V2). Takes a
   * checkpoint if one is due.
   */
  async flush(): Promise<void> {
    const { tasks, forwards, deadLetters, checkpoints, pace, row, signal } = this.#options;
    const started = performance.now();
    const isDue = checkpoints !== undefined && started - this.#checkpointedMs >= pace.checkpointMs;
    forwards?.seal(signal);
    await forwards?.room();
    if (isDue || started - this.#sealedMs >= pace.lingerMs) this.#seal(started);
    for (const { outputs } of tasks) {
      for (const output of outputs) await output.room();
    }
    await deadLetters.flush(signal);
    if (isDue) this.#checkpoint(checkpoints, started);
    row.add("flushMs", performance.now() - started);
  }

  /** O1. */
  #seal(nowMs: number): void {
    const { tasks, profile, signal } = this.#options;
    this.#sealedMs = nowMs;
    for (const { outputs } of tasks) {
      for (const output of outputs) {
        const startedMs = profile?.now();
        output.seal(signal);
        profile?.since("sealMs", startedMs);
      }
    }
  }

  #checkpoint(checkpoints: Checkpoints, started: number): void {
    const { tasks, row, signal } = this.#options;
    this.#checkpointedMs = started;
    checkpoints.take(tasks, signal);
    row.add("checkpoints", 1);
    row.set("checkpointMs", performance.now() - started);
  }

  /** Waits for what was sent, then for a checkpoint of all of it. */
  async finish(): Promise<void> {
    const { tasks, forwards, checkpoints, signal } = this.#options;
    this.#seal(performance.now());
    await forwards?.idle();
    for (const { outputs } of tasks) {
      for (const output of outputs) await output.idle();
    }
    await checkpoints?.commit(tasks, signal);
  }

  /** V4: only what is on its way is waited for; it fails or not, the loop's own failure counts. */
  async settle(): Promise<void> {
    const { tasks, forwards } = this.#options;
    const sends = tasks.flatMap(({ outputs }) => outputs);
    await Promise.allSettled([
      forwards?.idle(),
      ...sends.map(async (output) => await output.idle()),
    ]);
  }
}
