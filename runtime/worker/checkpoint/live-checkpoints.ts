import { type CheckpointStore } from "../../contract/state-store.ts";
import { toError } from "../../core/errors.ts";
import { digest } from "../../graph/ids.ts";
import { type LiveOrder } from "../live/live-order.ts";
import { type Checkpoints, type LivePartition, type LiveTask } from "../live/live-task.ts";
import { TaskCheckpoint } from "./task-checkpoint.ts";

/**
 * Checkpoints of a live thread's tasks: `deployment/stage/partition`.
 *
 *   M1  A commit is made only when every output up to its snapshot is acknowledged; so what a
 *       restart computes again is what the output partition may hold already, and no more.
 *   M2  One commit of a task is on its way at a time; a snapshot that would overtake it waits
 *       for the next turn. The loop goes on meanwhile.
 */
export class LiveCheckpoints implements Checkpoints {
  readonly #store: CheckpointStore;
  readonly #deployment: string;
  readonly #run: string;
  readonly #plan: string;
  readonly #tasks = new Map<LiveTask, TaskCheckpoint>();
  readonly #underWay = new Map<LiveTask, Promise<void>>();
  #failure: Error | undefined;

  /** The order's `ids` are all IDs of the graph: state of another graph is not taken for this one's. */
  constructor(store: CheckpointStore, { deployment, ids, run }: LiveOrder) {
    this.#store = store;
    this.#deployment = deployment;
    this.#run = run;
    this.#plan = digest(`plan ${ids.join(" ")}`);
  }

  async restore(
    task: LiveTask,
    start: (feed: LivePartition) => Promise<number>,
    signal: AbortSignal,
  ): Promise<void> {
    const { feeds, outputs, partition, stage } = task;
    const name = `${this.#deployment}/${stage}/${partition}`;
    const checkpoint = new TaskCheckpoint(name, this.#store, task.parts(), this.#plan);
    this.#tasks.set(task, checkpoint);
    const position = await checkpoint.restore(signal);
    const taken = this.#takenOf(position?.extra);
    for (const [i, feed] of feeds.entries()) {
      const { reader, topic } = feed;
      reader.nextOffset = position?.offsets[topic] ?? (await start(feed));
      reader.counts.records = taken[i] ?? 0;
    }
    if (position !== undefined) {
      for (const output of outputs) {
        await output.readBack(position.ends[output.target.topic] ?? 0, signal);
      }
      return;
    }
    for (const output of outputs) await output.begin(signal);
    await this.#commit(task, signal);
  }

  take(tasks: readonly LiveTask[], signal: AbortSignal): void {
    if (this.#failure !== undefined) throw this.#failure;
    for (const task of tasks) {
      if (this.#underWay.has(task)) continue;
      const commit = this.#commit(task, signal)
        .catch((error: unknown) => {
          this.#failure ??= toError(error);
        })
        .finally(() => this.#underWay.delete(task));
      this.#underWay.set(task, commit);
    }
  }

  async commit(tasks: readonly LiveTask[], signal: AbortSignal): Promise<void> {
    await Promise.all(this.#underWay.values());
    this.take(tasks, signal);
    await Promise.all(this.#underWay.values());
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Copies now, commits when the outputs are there (M1). */
  async #commit(task: LiveTask, signal: AbortSignal): Promise<void> {
    const checkpoint = this.#tasks.get(task);
    if (checkpoint === undefined) return;
    const startedMs = performance.now();
    const snapshot = checkpoint.snapshot();
    const offsets = Object.fromEntries(
      task.feeds.map((feed) => [feed.topic, feed.reader.restartOffset]),
    );
    const records = task.feeds.map(({ reader }) => reader.counts.records);
    const extra: Taken = { run: this.#run, records };
    const ends = await task.acknowledged();
    await checkpoint.commit(snapshot, { offsets, ends, extra }, signal);
    for (const { meter } of task.feeds) meter?.checkpointed(startedMs);
  }

  /** Records of each feed that this run had taken by a checkpoint: none if it is of another run. */
  #takenOf(extra: unknown): readonly number[] {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- written by `commit`, of the same plan
    const taken = extra as Taken | undefined;
    return taken?.run === this.#run ? taken.records : [];
  }
}

/**
 * Records that a run has taken, by feed. The position can't tell: offsets count what is no
 * record too (transaction markers, what compaction removed).
 */
interface Taken {
  readonly run: string;
  readonly records: readonly number[];
}
