import { type ColumnBatch } from "../../contract/columns.ts";
import { type HistoryStore, type Series, type TimeRange } from "../../contract/history-store.ts";
import { assert } from "../../core/assert.ts";
import { type Component, type Root } from "../../graph/components.ts";
import { type Graph } from "../../graph/graph.ts";
import { type StreamLoop } from "../task/stream-loop.ts";
import { type Task } from "../task/task.ts";

/** Where a replay reads from and reports to. */
export interface ReplayFeed {
  readonly graph: Graph;
  readonly store: Pick<HistoryStore, "fetch">;
  /** Rows of a root that are replayed, `[start, end)` by open time. */
  readonly rangeOf: (root: Root) => TimeRange;
  /** Told of rows that the task has taken, and of the first ts that it has not. */
  readonly onRows: (root: Root, rows: number, nextTs: number) => void;
  /** Resolves when the sinks have room again: back pressure. */
  readonly drain: () => Promise<void>;
}

/** A history series of a stream's key. */
export function seriesOf(graph: Graph, node: number, key: string): Series {
  const { definitionId, interval, schema, keys, name } = graph.nodes[node]!;
  const found = keys.find((own) => own.key === key);
  assert(found !== undefined, "a series is asked for a key of its node");
  return { nodeId: found.nodeId, definitionId, key, interval: interval.name, schema, name };
}

/**
 * Feeds stored rows to a task, in time order where a join needs it: the same loop that
 * live records go through.
 */
export async function replay(
  task: Task,
  components: readonly Component[],
  feed: ReplayFeed,
  signal: AbortSignal,
): Promise<void> {
  let end = Number.NEGATIVE_INFINITY;
  for (const component of components) {
    const cursors = component.roots.map((root) => new Cursor(task, root, feed, signal));
    if (component.hasJoins) await mergeByClose(task, cursors);
    else for (const cursor of cursors) await cursor.acceptAll();
    for (const root of component.roots) end = Math.max(end, feed.rangeOf(root).end);
  }
  task.advance(end);
  task.flush();
  await feed.drain();
}

/**
 * Accepts rows of all cursors in rising close time; joins run at each time that all have passed.
 * Positions are told only when all cursors stand at the same time: there a checkpoint is sound.
 */
async function mergeByClose(task: Task, cursors: readonly Cursor[]): Promise<void> {
  for (const cursor of cursors) await cursor.load();
  for (;;) {
    let close = Number.POSITIVE_INFINITY;
    for (const cursor of cursors) close = Math.min(close, cursor.nextClose);
    if (close === Number.POSITIVE_INFINITY) break;
    let isBatchDone = false;
    for (const cursor of cursors) {
      while (cursor.nextClose === close) {
        cursor.acceptOne();
        if (!cursor.isDrained) continue;
        isBatchDone = true;
        await cursor.load();
      }
    }
    task.advance(close);
    if (isBatchDone) await tell(cursors);
  }
  await tell(cursors);
}

async function tell(cursors: readonly Cursor[]): Promise<void> {
  for (const cursor of cursors) cursor.tellRows();
  await cursors[0]?.drain();
}

/** Reads one root's rows batch by batch. */
class Cursor {
  readonly #loop: StreamLoop;
  readonly #root: Root;
  readonly #slot: number;
  readonly #feed: ReplayFeed;
  readonly #batches: AsyncIterator<ColumnBatch>;
  #batch: ColumnBatch | undefined = undefined;
  #row = 0;
  /** Rows accepted and not told yet, and the ts of the last of them. */
  #untold = 0;
  #lastTs = 0;
  nextClose = Number.POSITIVE_INFINITY;

  constructor(task: Task, root: Root, feed: ReplayFeed, signal: AbortSignal) {
    this.#loop = task.streamOf(root.node);
    this.#root = root;
    this.#slot = task.slotOf(root.node, root.key);
    this.#feed = feed;
    const series = seriesOf(feed.graph, root.node, root.key);
    const batches = feed.store.fetch(series, feed.rangeOf(root), signal);
    this.#batches = batches[Symbol.asyncIterator]();
  }

  get isDrained(): boolean {
    return this.#batch === undefined || this.#row === this.#batch.count;
  }

  /** Reads the next batch; at the end `nextClose` is Infinity. */
  async load(): Promise<void> {
    const next = await this.#batches.next();
    this.#batch = next.done === true ? undefined : next.value;
    this.#row = 0;
    if (this.#batch?.count === 0) await this.load();
    else this.#look();
  }

  acceptOne(): void {
    this.#accept(this.#row + 1);
    this.#look();
  }

  async acceptAll(): Promise<void> {
    for (;;) {
      await this.load();
      if (this.#batch === undefined) return;
      this.#accept(this.#batch.count);
      this.tellRows();
      await this.drain();
    }
  }

  /** Tells what was accepted since the last time: up to here the task has taken everything. */
  tellRows(): void {
    if (this.#untold === 0) return;
    this.#feed.onRows(this.#root, this.#untold, this.#lastTs + 1);
    this.#untold = 0;
  }

  async drain(): Promise<void> {
    await this.#feed.drain();
  }

  #accept(to: number): void {
    assert(this.#batch !== undefined, "a cursor with a next row has a batch");
    this.#loop.takeColumns(this.#slot, this.#batch, this.#row, to);
    this.#untold += to - this.#row;
    this.#lastTs = this.#batch.ts[to - 1]!;
    this.#row = to;
  }

  #look(): void {
    if (this.isDrained) {
      this.nextClose = Number.POSITIVE_INFINITY;
      return;
    }
    const batch = this.#batch!;
    const closeTime = this.#loop.closeTimeOf(batch, this.#row);
    this.nextClose = this.#loop.closeOf(batch.ts[this.#row]!, closeTime);
  }
}
