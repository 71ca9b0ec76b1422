import { type Upstream } from "../../nodes/typing.ts";
import { buildGraph } from "../../runtime/graph/graph.ts";
import { type ColumnBatch, newColumnBatch, type Schema } from "../../runtime/index.ts";
import { splitRows } from "../../runtime/worker/replay/split-rows.ts";
import { Task } from "../../runtime/worker/task/task.ts";

/** An output as a test reads it: node name, key, open time and values in schema order. */
export type Emitted = readonly [name: string, key: string, ts: number, ...values: number[]];

/** A batch of rows, each `[ts, ...fields]`; seq is 0. */
export function rowsOf(rows: readonly (readonly number[])[]): ColumnBatch {
  const batch = newColumnBatch(rows.length, (rows[0]?.length ?? 1) - 1);
  for (const [i, [ts = 0, ...fields]] of rows.entries()) {
    batch.ts[i] = ts;
    for (const [column, value] of fields.entries()) batch.columns[column]![i] = value;
  }
  return batch;
}

/** A task over `nodes` that owns every key, and what it emitted, in order. */
export class TaskRun {
  readonly task: Task;
  readonly emitted: Emitted[] = [];
  readonly #streams: readonly { readonly name: string; readonly index: number }[];

  constructor(
    nodes: readonly Upstream[],
    options: { isPoisoning?: boolean; isInterpreted?: boolean } = {},
  ) {
    const graph = buildGraph(nodes.map(({ declaration }) => declaration));
    this.#streams = graph.nodes
      .filter(({ kind }) => kind === "stream")
      .map(({ name, index }) => ({ name, index }));
    this.task = new Task({
      graph,
      owns: () => true,
      isPoisoning: true,
      ...options,
      sink: (node, rows) => {
        for (const { key, rows: own } of splitRows(
          node.index,
          rows,
          this.task.keysOf(node.index),
        )) {
          for (let i = 0; i < own.count; i += 1) {
            const values = own.columns.map((column) => column[i]!);
            this.emitted.push([node.name, key, own.ts[i]!, ...values]);
          }
        }
      },
    });
  }

  /** Feeds rows `[ts, ...fields]` of a key to the stream called `stream`. */
  feed(stream: string, key: string, ...rows: readonly (readonly number[])[]): this {
    const index = this.#streams.find(({ name }) => name === stream)?.index ?? -1;
    const batch = rowsOf(rows);
    this.task.streamOf(index).takeColumns(this.task.slotOf(index, key), batch, 0, batch.count);
    return this;
  }

  /** Everything has come to `time`. */
  advance(time: number): this {
    this.task.advance(time);
    return this;
  }

  /** What was emitted since the last call. */
  take(): readonly Emitted[] {
    this.task.flush();
    return this.emitted.splice(0);
  }
}

/** A stream of one field, for hand-made bars. */
export const price = { close: "f64" } as const satisfies Schema;
