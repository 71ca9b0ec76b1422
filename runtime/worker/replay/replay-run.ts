import { type HistoryStore, type TimeRange } from "../../contract/history-store.ts";
import { type CheckpointStore } from "../../contract/state-store.ts";
import { assert } from "../../core/assert.ts";
import { errorText, hasCode } from "../../core/errors.ts";
import { type Component, type Root, rootName } from "../../graph/components.ts";
import { type Graph } from "../../graph/graph.ts";
import { TaskCheckpoint } from "../checkpoint/task-checkpoint.ts";
import { NodeProfile } from "../node-profile.ts";
import { type NodeRows, type TaskCounts } from "../protocol.ts";
import { Task } from "../task/task.ts";
import { type NodeTally, OutputTally } from "./output-tally.ts";
import { replay } from "./replay.ts";
import { splitRows } from "./split-rows.ts";

/** Where a replay's state is kept, so that one that was killed goes on. */
export interface ReplayCheckpoints {
  readonly store: CheckpointStore;
  /** `deployment/0/task`. */
  readonly name: string;
  /** Hash of graph, range and share: other state is dropped, and the replay starts anew. */
  readonly plan: string;
  /** Time between two checkpoints, ms. */
  readonly everyMs: number;
}

/** One thread's share of a replay. */
export interface ReplayRun {
  readonly graph: Graph;
  readonly store: HistoryStore;
  readonly components: readonly Component[];
  /** Range of each root, in the order of the components' roots. */
  readonly ranges: readonly TimeRange[];
  readonly isPoisoning: boolean;
  readonly checkpoints: ReplayCheckpoints | undefined;
  readonly profile?: SharedArrayBuffer;
  readonly onOutputs: (outputs: readonly NodeRows[]) => void;
  readonly onRows: (root: Root, rows: number) => void;
  /** Gets a line for the user: the replay goes on from a checkpoint, or makes none any more. */
  readonly onNote: (text: string) => void;
  /** Resolves when there is room for more outputs. */
  readonly drain: () => Promise<void>;
  /** Resolves when every output that was handed over is durable. */
  readonly settle: () => Promise<void>;
}

/** What moves with a replay's state beside its position. */
interface ReplayExtra {
  readonly tallies: readonly NodeTally[];
  readonly streams: TaskCounts["streams"];
  readonly refused: readonly { readonly node: number; readonly refused: number }[];
  readonly rows: readonly { readonly root: Root; readonly rows: number }[];
}

/** Replays the components in this thread and returns what was counted, restarts included. */
export async function runReplay(run: ReplayRun, signal: AbortSignal): Promise<TaskCounts> {
  const profile = run.profile === undefined ? undefined : new NodeProfile(run.profile);
  const share = new ReplayShare(run, profile);
  await share.restore(signal);
  const startedMs = profile?.now();
  await replay(
    share.task,
    run.components,
    {
      graph: run.graph,
      store: profile === undefined ? run.store : timedStore(run.store, profile),
      rangeOf: (root) => share.rangeOf(root),
      onRows: (root, rows, nextTs) => share.onRows(root, rows, nextTs),
      drain: async () => await share.drain(signal),
    },
    signal,
  );
  await share.settle();
  profile?.since("totalMs", startedMs);
  await share.end(signal);
  return share.counts();
}

/** A store whose rows' reading is timed. */
function timedStore(store: HistoryStore, profile: NodeProfile): Pick<HistoryStore, "fetch"> {
  return {
    async *fetch(series, range, signal) {
      const batches = store.fetch(series, range, signal)[Symbol.asyncIterator]();
      for (;;) {
        const startedMs = profile.now();
        const next = await batches.next();
        profile.since("readMs", startedMs);
        if (next.done === true) return;
        yield next.value;
      }
    },
  };
}

/** A replay's task with its position, and the checkpoints of both. */
class ReplayShare {
  readonly #run: ReplayRun;
  readonly #profile: NodeProfile | undefined;
  readonly #ranges: Map<string, TimeRange>;
  readonly #tally = new OutputTally();
  readonly #rows = new Map<string, { readonly root: Root; readonly rows: number }>();
  #task: Task;
  #checkpoint: TaskCheckpoint | undefined;
  #checkpointedMs = performance.now();

  constructor(run: ReplayRun, profile: NodeProfile | undefined) {
    this.#run = run;
    this.#profile = profile;
    const roots = run.components.flatMap((component) => component.roots);
    this.#ranges = new Map(roots.map((root, i) => [rootName(root), run.ranges[i]!]));
    this.#task = this.#newTask();
    this.#checkpoint = this.#newCheckpoint();
  }

  get task(): Task {
    return this.#task;
  }

  /** What of a root's range is still to be replayed. */
  rangeOf(root: Root): TimeRange {
    const range = this.#ranges.get(rootName(root));
    assert(range !== undefined, "a replay has a range for each of its roots");
    return range;
  }

  /** Goes on where a killed replay of the same plan stopped; other or unsound state is dropped. */
  async restore(signal: AbortSignal): Promise<void> {
    if (this.#checkpoint === undefined) return;
    const position = await this.#checkpoint.restore(signal).catch(async (error: unknown) => {
      if (!hasCode(error, "CHECKPOINT_PLAN_CHANGED", "CHECKPOINT_CORRUPT")) throw error;
      await this.#checkpoint?.drop(signal);
      // What was read before the fault was seen is in the task: it begins anew, too.
      this.#task = this.#newTask();
      this.#checkpoint = this.#newCheckpoint();
      return await this.#checkpoint?.restore(signal);
    });
    if (position === undefined) return;
    for (const [name, nextTs] of Object.entries(position.offsets)) {
      const range = this.#ranges.get(name);
      if (range !== undefined) this.#ranges.set(name, { ...range, start: nextTs });
    }
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- written by `#save`, of the same plan
    const extra = position.extra as ReplayExtra;
    this.#tally.restore(extra.tallies);
    this.task.addCounts(extra.streams, extra.refused);
    for (const { root, rows } of extra.rows) {
      this.#rows.set(rootName(root), { root, rows });
      this.#run.onRows(root, rows);
    }
    const done = extra.rows.reduce((sum, { rows }) => sum + rows, 0);
    const name = this.#run.checkpoints?.name ?? "";
    this.#run.onNote(`Going on from the checkpoint of ${name}: ${done} bars are replayed already`);
  }

  /** Notes that the task has taken `rows` more rows of `root`, and the first ts it has not. */
  onRows(root: Root, rows: number, nextTs: number): void {
    const name = rootName(root);
    this.#rows.set(name, { root, rows: (this.#rows.get(name)?.rows ?? 0) + rows });
    this.#ranges.set(name, { ...this.rangeOf(root), start: nextTs });
    this.#run.onRows(root, rows);
  }

  /** Between two batches: back pressure, and a checkpoint if one is due. */
  async drain(signal: AbortSignal): Promise<void> {
    const { checkpoints } = this.#run;
    const now = performance.now();
    if (checkpoints !== undefined && now - this.#checkpointedMs >= checkpoints.everyMs) {
      this.#checkpointedMs = now;
      await this.#save(signal);
    }
    await this.#run.drain();
    this.#profile?.since("waitMs", now);
  }

  /** Every output that was handed over is durable. */
  async settle(): Promise<void> {
    const startedMs = this.#profile?.now();
    await this.#run.settle();
    this.#profile?.since("waitMs", startedMs);
  }

  /** The replay is complete: nothing is left to go on from. */
  async end(signal: AbortSignal): Promise<void> {
    await this.#checkpoint?.drop(signal);
  }

  counts(): TaskCounts {
    return { ...this.task.counts(), tallies: this.#tally.list() };
  }

  /** Outputs first, then state and position (DESIGN §7). */
  async #save(signal: AbortSignal): Promise<void> {
    const checkpoint = this.#checkpoint;
    if (checkpoint === undefined) return;
    this.#task.flush();
    const snapshot = checkpoint.snapshot();
    const offsets = Object.fromEntries([...this.#ranges].map(([name, { start }]) => [name, start]));
    const { streams, nodes } = this.task.counts();
    const extra: ReplayExtra = {
      tallies: this.#tally.list(),
      streams: streams.map(({ node, counts }) => ({ node, counts: { ...counts } })),
      refused: nodes.map(({ node, refused }) => ({ node, refused })),
      rows: [...this.#rows.values()],
    };
    await this.#run.settle();
    try {
      await checkpoint.commit(snapshot, { offsets, ends: {}, extra }, signal);
    } catch (error) {
      if (!hasCode(error, "CHECKPOINT_FENCED", "CHECKPOINT_GAP")) throw error;
      // Outputs are the same whoever computes them: the replay needs no owner, only checkpoints do.
      this.#checkpoint = undefined;
      this.#run.onNote(`Going on without checkpoints: ${errorText(error)}`);
    }
  }

  #newTask(): Task {
    const run = this.#run;
    const profile = this.#profile;
    return new Task({
      graph: run.graph,
      owns: (stream, key) => this.#ranges.has(rootName({ node: stream.index, key })),
      sink: (node, rows) => {
        const startedMs = profile?.now();
        const outputs = splitRows(node.index, rows, this.#task.keysOf(node.index));
        this.#tally.add(outputs);
        run.onOutputs(outputs);
        profile?.since("encodeMs", startedMs);
      },
      isPoisoning: run.isPoisoning,
      profile,
    });
  }

  #newCheckpoint(): TaskCheckpoint | undefined {
    const { checkpoints } = this.#run;
    if (checkpoints === undefined) return undefined;
    const { name, plan, store } = checkpoints;
    return new TaskCheckpoint(name, store, this.#task.parts(), plan);
  }
}
