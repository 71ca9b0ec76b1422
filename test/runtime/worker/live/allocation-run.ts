/**
 * A program: ten million records run through a partition's task and output, from fetched bytes to
 * batches to send, by an Operator ("operator") or by the same one keeping one `{}` of each of the last
 * records ("kept"). A line "begin" on standard error parts the warm-up, of a million more, from the rest.
 */
import { StreamInput, sma } from "../../../../nodes/index.ts";
import { stampBatch } from "../../../../runtime/codec/kafka/record-batch.ts";
import { RecordBatchReader } from "../../../../runtime/codec/kafka/record-batch-reader.ts";
import { buildGraph, type Graph } from "../../../../runtime/graph/graph.ts";
import { type Transport } from "../../../../runtime/index.ts";
import { OutputPartition } from "../../../../runtime/worker/live/output/output-partition.ts";
import { PartitionTask } from "../../../../runtime/worker/live/partition-task.ts";
import { fetched, fixed, logBatch } from "./log-bytes.ts";

const minute = 60_000;
const keys = 10;
const barsPerBatch = 100;
const batchRecords = keys * barsPerBatch;
const warmUpTurns = 1_000;
const turns = 10_000;

const input = new StreamInput({
  topic: "in",
  symbols: "*",
  maxKeys: 16,
  interval: "1m",
  period: 20,
  schema: { close: "f64" },
});
const operator = sma(input, "close", { length: 20 });
/** Takes whatever is produced: the wire is not measured here. */
const nowhere = { produce: async () => 0 } as unknown as Transport;

/** One batch whose bars move on by `advance`, in place. */
class MovingBatch {
  readonly answer = fetched([
    logBatch(
      Array.from({ length: batchRecords }, (_, i) => ({
        key: `K${i % keys}`,
        value: fixed("f", [Math.floor(i / keys) * minute, (i % 97) / 4]),
      })),
    ),
  ]);
  readonly #view = new DataView(this.answer.bytes.buffer, this.answer.bytes.byteOffset);
  readonly #valueAt: readonly number[];
  readonly #stamp = { producerId: -1, producerEpoch: -1, baseSequence: -1 };

  constructor() {
    const reader = new RecordBatchReader();
    reader.open(this.answer.bytes);
    reader.next();
    this.#valueAt = [...reader.records.valueAt.subarray(0, batchRecords)];
  }

  advance(ms: number): void {
    for (const at of this.#valueAt) {
      const ts = this.#view.getUint32(at + 2) * 2 ** 32 + this.#view.getUint32(at + 6) + ms;
      this.#view.setUint32(at + 2, Math.floor(ts / 2 ** 32));
      this.#view.setUint32(at + 6, ts >>> 0);
    }
    stampBatch(this.answer.bytes, this.#stamp);
  }
}

/** The graph of `operator`; with `isKeeping` each call leaves an object behind, in a ring. */
function graphOf(isKeeping: boolean): Graph {
  const graph = buildGraph([operator.declaration]);
  if (!isKeeping) return graph;
  const [stream, node] = graph.nodes;
  const ring: unknown[] = Array.from({ length: 1 << 16 });
  let at = 0;
  const step = node!.run as unknown as (...inputs: unknown[]) => unknown;
  const run = (...inputs: unknown[]): unknown => {
    at = (at + 1) & 0xffff;
    ring[at] = {};
    return step(...inputs);
  };
  return { ...graph, nodes: [stream!, { ...node!, run }] };
}

async function run(isKeeping: boolean): Promise<void> {
  const graph = graphOf(isKeeping);
  const signal = new AbortController().signal;
  let output: OutputPartition | undefined;
  const task = new PartitionTask({
    graph,
    stream: graph.nodes[0]!,
    partition: 0,
    sink: () => (_node, rows) => output!.add(rows, signal),
    onDeadLetter: () => undefined,
    quarantined: new Set(),
    isPoisoning: false,
    heartbeat: new Int32Array(2),
    onRow: undefined,
  });
  const target = { node: graph.nodes[1]!, topic: "out", partition: 0, keys: task.keys };
  output = new OutputPartition({ ...target, batchBytesMax: 1 << 20 }, nowhere, undefined);
  const batch = new MovingBatch();
  const turn = async (): Promise<void> => {
    task.nextOffset = 0;
    task.consume(batch.answer);
    output.seal(signal);
    await output.idle();
    batch.advance(barsPerBatch * minute);
  };
  for (let i = 0; i < warmUpTurns; i += 1) await turn();
  Bun.gc(true);
  process.stderr.write("begin\n");
  for (let i = 0; i < turns; i += 1) await turn();
  process.stderr.write("end\n");
  const { accepted } = task.loop.counts;
  if (accepted !== (warmUpTurns + turns) * batchRecords || output.sent !== accepted - 19 * keys) {
    throw new Error(`accepted ${accepted}, sent ${output.sent}`);
  }
}

await run(process.argv[2] === "kept");
