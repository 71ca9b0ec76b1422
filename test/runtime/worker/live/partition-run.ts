import { type Upstream } from "../../../../nodes/typing.ts";
import { buildGraph } from "../../../../runtime/graph/graph.ts";
import { type FetchedBytes } from "../../../../runtime/index.ts";
import { type DeadLetter, PartitionTask } from "../../../../runtime/worker/live/partition-task.ts";

/** A partition's task over `nodes`, and what became of its records, as plain data. */
export class PartitionRun {
  readonly partition: PartitionTask;
  readonly letters: DeadLetter[] = [];
  readonly heartbeat = new Int32Array(2);
  /** `[node, key, ts, ...fields]` of each output. */
  readonly outputs: (readonly (string | number)[])[] = [];

  constructor(nodes: readonly Upstream[], quarantined: ReadonlySet<number> = new Set()) {
    const graph = buildGraph(nodes.map(({ declaration }) => declaration));
    const stream = graph.nodes.find(({ kind }) => kind === "stream")!;
    this.partition = new PartitionTask({
      graph,
      stream,
      partition: 5,
      sink: (own) => (node, rows) => {
        for (let i = 0; i < rows.count; i += 1) {
          const values = rows.columns.map((column) => column[i]!);
          const key = own.keys.textOf(rows.slots[i]!);
          this.outputs.push([node.name, key, rows.ts[i]!, ...values]);
        }
      },
      onDeadLetter: (letter) => this.letters.push(letter),
      quarantined,
      isPoisoning: true,
      heartbeat: this.heartbeat,
      onRow: undefined,
    });
  }

  consume(answer: FetchedBytes): this {
    this.partition.consume(answer);
    return this;
  }

  /** Rows of a key's window, `[ts, ...fields]`, oldest first. */
  window(key: string): readonly (readonly number[])[] {
    const { keys, loop } = this.partition;
    const bytes = new TextEncoder().encode(key);
    const slot = keys.slotOf(bytes, 0, bytes.length);
    const { store } = loop;
    if (slot < 0) return [];
    const newest = slot * store.slotSize + store.ends[slot]! - 1;
    return Array.from({ length: store.rows[slot]! }, (_, age) =>
      Array.from(
        { length: store.columnCount },
        (_c, c) => store.values[newest - age + c * store.stride]!,
      ),
    ).toReversed();
  }
}
