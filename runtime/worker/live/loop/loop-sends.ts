import { type NodeProfile } from "../../node-profile.ts";
import { type BoardRow } from "../board.ts";
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
  /** Time between two checkpoints, ms. */
  readonly checkpointMs: number;
  readonly row: BoardRow;
  readonly profile: NodeProfile | undefined;
  readonly signal: AbortSignal;
}

/**
 * What a loop has computed, on its way out: outputs, forwarded records and dead letters; and the
 * checkpoints behind them.
 *
 *   V4  After a failure nothing is committed: the state may hold half a batch.
 */
export class LoopSends {
  readonly #options: LoopSendsOptions;
  #checkpointedMs = performance.now();

  constructor(options: LoopSendsOptions) {
    this.#options = options;
  }

  /**
   * Sends what a turn has brought, and waits until there is room for the next one's (V2). Takes a
   * checkpoint if one is due.
   */
  async flush(): Promise<void> {
    const { tasks, forwards, deadLetters, row, profile, signal } = this.#options;
    const started = performance.now();
    forwards?.seal(signal);
    await forwards?.room();
    for (const { outputs } of tasks) {
      for (const output of outputs) {
        const startedMs = profile?.now();
        output.seal(signal);
        profile?.since("sealMs", startedMs);
        await output.room();
      }
    }
    await deadLetters.flush(signal);
    this.#checkpoint(started);
    row.add("flushMs", performance.now() - started);
  }

  #checkpoint(started: number): void {
    const { tasks, checkpoints, checkpointMs, row, signal } = this.#options;
    if (checkpoints === undefined || started - this.#checkpointedMs < checkpointMs) return;
    this.#checkpointedMs = started;
    checkpoints.take(tasks, signal);
    row.add("checkpoints", 1);
    row.set("checkpointMs", performance.now() - started);
  }

  /** Waits for what was sent, then for a checkpoint of all of it. */
  async finish(): Promise<void> {
    const { tasks, forwards, checkpoints, signal } = this.#options;
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
