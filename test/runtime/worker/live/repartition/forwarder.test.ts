import { afterEach, expect, test } from "bun:test";
import { openTransport } from "../../../../../connectors/memory/index.ts";
import { Join, Node, StreamInput } from "../../../../../nodes/index.ts";
import { paceDefaults } from "../../../../../runtime/engine/live/live-limits.ts";
import { buildGraph } from "../../../../../runtime/graph/graph.ts";
import { repartitionTopic, stagedOf } from "../../../../../runtime/graph/stages.ts";
import { type Transport } from "../../../../../runtime/index.ts";
import { ForwardSenders } from "../../../../../runtime/worker/live/repartition/forward-senders.ts";
import { Forwarder } from "../../../../../runtime/worker/live/repartition/forwarder.ts";
import { StageProgress } from "../../../../../runtime/worker/live/repartition/stage-progress.ts";
import { Task } from "../../../../../runtime/worker/task/task.ts";
import { price, rowsOf } from "../../../../harness/task-run.ts";
import { readTheirs } from "../../../codec/kafka/independent.ts";

const minute = 60_000;
const signal = AbortSignal.timeout(10_000);
const open: Transport[] = [];

afterEach(async () => {
  for (const transport of open.splice(0)) await transport.close();
});

/** The source side of joins of `even` (K's even closes) with L and with M. */
async function sourceOf() {
  const stream = (symbol: string) =>
    new StreamInput({ topic: "in", symbols: [symbol], interval: "1m", period: 2, schema: price });
  const even = new Node({
    name: "even",
    input: stream("K"),
    lookback: 1,
    schema: price,
    compute: (window) => {
      const close = window.value("close", -1);
      return close % 2 === 0 ? { close } : undefined;
    },
  });
  const pair = (symbol: string) =>
    new Join({ name: "pair", inputs: { a: even, b: stream(symbol) }, schema: price, compute });
  const graph = buildGraph([pair("L").declaration, pair("M").declaration]);
  const staged = stagedOf(graph);
  const [{ join } = { join: 0 }] = staged.forwards;
  const topic = repartitionTopic(staged.graph.nodes[join]!);
  const transport = await openTransport("memory:", signal);
  open.push(transport);
  await transport.ensureTopic({ name: topic, partitions: 1 }, signal);
  const senders = new ForwardSenders(transport, undefined, paceDefaults);
  const clock = { now: () => 5, sleep: async () => undefined };
  const { forwards } = staged;
  const forwarding = { graph: staged.graph, senders, partitions: 1, source: 77, clock, signal };
  const forwarder = new Forwarder(forwarding, forwards);
  const task = new Task({
    graph: staged.graph,
    nodes: new Set(staged.stages[0]!.nodes),
    taps: (node, keys) => forwarder.tapsOf(node, keys),
    owns: () => true,
    isPoisoning: true,
    sink: () => undefined,
  });
  const progress = new StageProgress(task, staged.stages[0]!.streams);
  let offset = 0;
  /** Feeds `[minute, close]` of a key; what was forwarded since, as `key input time …`. */
  const feed = async (key: string, ...rows: readonly (readonly number[])[]) => {
    const batch = rowsOf(rows.map(([at = 0, close = 0]) => [at * minute, close]));
    task.streamOf(0).takeColumns(task.slotOf(0, key), batch, 0, batch.count);
    progress.advance();
    forwarder.mark(progress);
    senders.seal(signal);
    await forwarder.barrier();
    const limits = { waitMsMax: 0, partitionBytesMax: 1 << 20, bytesMax: 1 << 20 };
    const answers = await transport.fetch([{ topic, partition: 0, offset }], limits, signal);
    offset = answers[0]?.nextOffset ?? offset;
    return answers.flatMap(({ bytes }) => readTheirs(bytes).map(textOf));
  };
  return { feed };
}

const compute = (): { close: number } => ({ close: 1 });

/** `[T, source, input]` or `[ts, source, input, seq, close]` as text, times in minutes. */
function textOf(record: { key?: string | null; value?: string | null }): string {
  const value = Buffer.from(record.value ?? "", "latin1");
  const time = Number(value.readBigUInt64BE(2)) / minute;
  const [source, input] = [value.readUInt32BE(11), value.readUInt32BE(16)];
  const rest = value[0] === 0x93 ? "mark" : String(value.readDoubleBE(26));
  return `${record.key} ${source}/${input} ${time.toFixed(2)} ${rest}`;
}

test("a record goes to every key that its own is joined into, under that key", async () => {
  const { feed } = await sourceOf();
  expect(await feed("K", [0, 2])).toEqual(["K|L 77/0 0.00 2", "K|M 77/0 0.00 2"]);
  expect(await feed("L", [0, 5])).toEqual(["K|L 77/1 0.00 5"]);
});

test("a mark is sent where nothing was emitted, behind what was, and none where it says nothing (W2, W3)", async () => {
  const { feed } = await sourceOf();
  expect(await feed("K", [0, 2], [1, 3])).toEqual([
    "K|L 77/0 0.00 2",
    "K|M 77/0 0.00 2",
    // K has come to just before the next close, at minute 3.
    "K|L 77/0 3.00 mark",
    "K|M 77/0 3.00 mark",
  ]);
  expect(await feed("K", [2, 4])).toEqual(["K|L 77/0 2.00 4", "K|M 77/0 2.00 4"]);
  expect(await feed("L", [0, 5], [2, 6])).toEqual(["K|L 77/1 0.00 5", "K|L 77/1 2.00 6"]);
});
