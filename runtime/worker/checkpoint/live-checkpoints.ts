import { type CheckpointStore } from "../../contract/state-store.ts";
import { toError } from "../../core/errors.ts";
import { digest } from "../../graph/ids.ts";
import { type Checkpoints, type LivePartition } from "../live/live-loop.ts";
import { type LiveOrder } from "../live/live-order.ts";
import { KeysPart } from "./parts.ts";
import { TaskCheckpoint } from "./task-checkpoint.ts";

/**
 * Checkpoints of a live thread's partitions, one task each: `deployment/0/partition`.
 *
 *   M1  A commit is made only when every output up to its snapshot is acknowledged; so what a
 *       restart computes again is what the output partition may hold already, and no more.
 *   M2  One commit of a partition is on its way at a time; a snapshot that would overtake it waits
 *       for the next turn. The loop goes on meanwhile.
 */
export class LiveCheckpoints implements Checkpoints {
  readonly #store: CheckpointStore;
  readonly #deployment: string;
  readonly #run: string;
  readonly #plan: string;
  readonly #tasks = new Map<LivePartition, TaskCheckpoint>();
  readonly #underWay = new Map<LivePartition, Promise<void>>();
  #failure: Error | undefined;

  /** The order's `ids` are all IDs of the graph: state of another graph is not taken for this one's. */
  constructor(store: CheckpointStore, { deployment, ids, run }: LiveOrder) {
    this.#store = store;
    this.#deployment = deployment;
    this.#run = run;
    this.#plan = digest(`plan ${ids.join(" ")}`);
  }

  async restore(
    partition: LivePartition,
    start: () => Promise<number>,
    signal: AbortSignal,
  ): Promise<void> {
    const { task, topic, outputs } = partition;
    const parts = [new KeysPart(task.keys), ...task.task.parts()];
    const name = `${this.#deployment}/0/${task.partition}`;
    const checkpoint = new TaskCheckpoint(name, this.#store, parts, this.#plan);
    this.#tasks.set(partition, checkpoint);
    const position = await checkpoint.restore(signal);
    const offset = position?.offsets[topic];
    if (position !== undefined && offset !== undefined) {
      task.nextOffset = offset;
      task.counts.records = this.#takenOf(position.extra);
      for (const output of outputs) {
        await output.readBack(position.ends[output.target.topic] ?? 0, signal);
      }
      return;
    }
    task.nextOffset = await start();
    for (const output of outputs) await output.begin(signal);
    await this.#commit(partition, signal);
  }

  take(partitions: readonly LivePartition[], signal: AbortSignal): void {
    if (this.#failure !== undefined) throw this.#failure;
    for (const partition of partitions) {
      if (this.#underWay.has(partition)) continue;
      const commit = this.#commit(partition, signal)
        .catch((error: unknown) => {
          this.#failure ??= toError(error);
        })
        .finally(() => this.#underWay.delete(partition));
      this.#underWay.set(partition, commit);
    }
  }

  async commit(partitions: readonly LivePartition[], signal: AbortSignal): Promise<void> {
    await Promise.all(this.#underWay.values());
    this.take(partitions, signal);
    await Promise.all(this.#underWay.values());
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Copies now, commits when the outputs are there (M1). */
  async #commit(partition: LivePartition, signal: AbortSignal): Promise<void> {
    const checkpoint = this.#tasks.get(partition);
    if (checkpoint === undefined) return;
    const { task, topic, outputs } = partition;
    const startedMs = performance.now();
    const snapshot = checkpoint.snapshot();
    const offsets = { [topic]: task.nextOffset };
    const extra: Taken = { run: this.#run, records: task.counts.records };
    const acked = outputs.map(async (output) => {
      return [output.target.topic, await output.barrier()] as const;
    });
    const ends = Object.fromEntries(await Promise.all(acked));
    await checkpoint.commit(snapshot, { offsets, ends, extra }, signal);
    partition.meter?.checkpointed(startedMs);
  }

  /** Records that this run had taken by a checkpoint: none if it is of another run. */
  #takenOf(extra: unknown): number {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- written by `commit`, of the same plan
    const taken = extra as Taken | undefined;
    return taken?.run === this.#run ? taken.records : 0;
  }
}

/**
 * Records that a run has taken from a partition. The position can't tell: offsets count what is no
 * record too (transaction markers, what compaction removed).
 */
interface Taken {
  readonly run: string;
  readonly records: number;
}
