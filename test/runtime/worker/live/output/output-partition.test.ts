import { afterEach, expect, test } from "bun:test";
import { openTransport } from "../../../../../connectors/memory/index.ts";
import { sma } from "../../../../../nodes/index.ts";
import { StreamInput } from "../../../../../nodes/stream-input.ts";
import { stampBatch } from "../../../../../runtime/codec/kafka/record-batch.ts";
import { KeyTable } from "../../../../../runtime/codec/key-table.ts";
import { buildGraph } from "../../../../../runtime/graph/graph.ts";
import { type Transport } from "../../../../../runtime/index.ts";
import { OutputPartition } from "../../../../../runtime/worker/live/output/output-partition.ts";
import { type OutputRows } from "../../../../../runtime/worker/task/node-output.ts";
import { readPartition } from "../../../../connectors/kafka/records.ts";
import { HeldSends } from "../held-sends.ts";
import { fixed } from "../log-bytes.ts";

const input = new StreamInput({
  topic: "in",
  symbols: "*",
  interval: "1m",
  period: 4,
  schema: { close: "f64" },
});
const node = buildGraph([sma(input, "close", { length: 1 }).declaration]).nodes[1]!;
const signal = AbortSignal.timeout(30_000);
const identity = { producerId: 77, epoch: 3 };

const opened: Transport[] = [];
afterEach(async () => {
  for (const transport of opened.splice(0)) await transport.close();
});

async function open(): Promise<Transport> {
  const transport = await openTransport("memory:", signal);
  opened.push(transport);
  await transport.ensureTopic({ name: "out", partitions: 1 }, signal);
  return transport;
}

/** Keys A, B, … in slots 0, 1, … */
function keysOf(names: string): KeyTable {
  const keys = new KeyTable({ keysMax: 100 });
  for (const name of names) keys.slotOf(new TextEncoder().encode(name), 0, 1);
  return keys;
}

function outputOf(transport: Transport, batchBytesMax = 1 << 20): OutputPartition {
  const target = { node, topic: "out", partition: 0, keys: keysOf("ABC"), batchBytesMax };
  return new OutputPartition(target, transport, identity);
}

/** Rows `[slot, ts, value]`. */
function rows(...list: readonly (readonly [number, number, number])[]): OutputRows {
  return {
    count: list.length,
    slots: Int32Array.from(list, ([slot]) => slot),
    ts: Float64Array.from(list, ([, ts]) => ts),
    columns: [Float64Array.from(list, ([, , value]) => value)],
  };
}

const rising = (from: number, to: number): OutputRows =>
  rows(...Array.from({ length: to - from }, (_, i) => [i % 3, from + i, from + i + 0.5] as const));

/** All of the partition as `key ts value`. */
async function contents(transport: Transport): Promise<readonly string[]> {
  const [ends] = await transport.endsOf("out", [0], signal);
  const found = await transport.fetch(
    [{ topic: "out", partition: 0, offset: 0 }],
    { waitMsMax: 0, partitionBytesMax: 1 << 24, bytesMax: 1 << 24 },
    signal,
  );
  if (found.length === 0) return [];
  const records = await readPartition(transport, "out", { partition: 0, count: ends!.end });
  return records.map(({ key }) => key ?? "null");
}

test("rows lie in the partition in their order, as wire values under their keys", async () => {
  const transport = await open();
  const output = outputOf(transport);
  output.add(rows([1, 60_000, 2.5], [0, 60_000, Number.NaN]), signal);
  output.add(rows([1, 120_000, -1]), signal);
  output.seal(signal);
  await output.idle();
  expect(output.ackedEnd).toBe(3);
  expect(output.sent).toBe(3);
  expect(await contents(transport)).toEqual(["B", "A", "B"]);
  const [answer] = await transport.fetch(
    [{ topic: "out", partition: 0, offset: 0 }],
    { waitMsMax: 0, partitionBytesMax: 1 << 20, bytesMax: 1 << 20 },
    signal,
  );
  expect(Buffer.from(answer!.bytes).includes(fixed("f", [60_000, 2.5]))).toBe(true);
});

test("records carry the time of sending: of a bar's time a restarted broker knows no producer (E4)", async () => {
  const held = new HeldSends(await open());
  const clock = { now: () => 1_700_000_000_000, sleep: async () => undefined };
  const target = { node, topic: "out", partition: 0, keys: keysOf("A"), batchBytesMax: 1 << 20 };
  const output = new OutputPartition(target, held.transport, identity, clock);
  output.add(rows([0, 60_000, 1], [0, 120_000, 2]), signal);
  output.seal(signal);
  const view = new DataView(held.batches[0]!.buffer);
  expect([Number(view.getBigInt64(27)), Number(view.getBigInt64(35))]).toEqual([
    1_700_000_000_000, 1_700_000_000_000,
  ]);
  held.release();
  await output.idle();
});

test("a full batch is sent and the next one follows it without a hole", async () => {
  const transport = await open();
  const output = outputOf(transport, 16_384);
  output.add(rising(0, 3_000), signal);
  output.seal(signal);
  await output.idle();
  expect(output.ackedEnd).toBe(3_000);
  const wanted = Array.from({ length: 3_000 }, (_, i) => "ABC"[i % 3]!);
  expect(await contents(transport)).toEqual(wanted);
});

test("after readBack() what is there is not sent again, whatever its order over keys", async () => {
  const transport = await open();
  const before = outputOf(transport);
  before.add(rows([0, 1, 1], [0, 2, 2], [1, 2, 3]), signal);
  before.seal(signal);
  await before.idle();

  const after = outputOf(transport);
  await after.readBack(1, signal);
  // The checkpoint named end 1: A at 1 is behind it, A at 2 and B at 2 were found beyond it.
  after.add(rows([1, 2, 3], [1, 3, 4], [2, 1, 5], [0, 2, 2], [0, 3, 6]), signal);
  after.seal(signal);
  await after.idle();
  expect(await contents(transport)).toEqual(["A", "A", "B", "B", "C", "A"]);
  expect(after.ackedEnd).toBe(6);
});

/** `inner`, whose records are a transaction that its producer has aborted. */
function aborting(inner: Transport): Transport {
  const transactional = 0x10;
  return new Proxy(inner, {
    get(target, name) {
      if (name === "produce") {
        return async (...[topic, partition, batch, stop]: Parameters<Transport["produce"]>) => {
          const marked = batch.slice();
          new DataView(marked.buffer).setInt16(21, transactional);
          const { producerId, epoch: producerEpoch } = identity;
          stampBatch(marked, { producerId, producerEpoch, baseSequence: 0 });
          return await target.produce(topic, partition, marked, stop);
        };
      }
      if (name === "fetch") {
        return async (...args: Parameters<Transport["fetch"]>) => {
          const abortedTransactions = [{ producerId: identity.producerId, firstOffset: 0 }];
          const answers = await target.fetch(...args);
          return answers.map((answer) => ({ ...answer, abortedTransactions }));
        };
      }
      const member: unknown = Reflect.get(target, name);
      if (typeof member !== "function") return member;
      return (...args: unknown[]): unknown => Reflect.apply(member, target, args);
    },
  });
}

test("readBack() does not find what an aborted transaction left: nobody reads that", async () => {
  const inner = await open();
  const transport = aborting(inner);
  const before = outputOf(transport);
  before.add(rows([0, 1, 1]), signal);
  before.seal(signal);
  await before.idle();

  const after = outputOf(transport);
  await after.readBack(0, signal);
  after.add(rows([0, 1, 1]), signal);
  after.seal(signal);
  await after.idle();
  expect(await contents(inner)).toEqual(["A", "A"]);
});

test("readBack() compares identities, never counts: a hole in what is there is filled", async () => {
  const transport = await open();
  const before = outputOf(transport);
  before.add(rows([0, 1, 1], [0, 3, 3], [0, 3, 3]), signal); // a zombie's copy of one
  before.seal(signal);
  await before.idle();
  const after = outputOf(transport);
  await after.readBack(0, signal);
  after.add(rows([0, 1, 1], [0, 2, 2], [0, 3, 3], [0, 4, 4]), signal);
  after.seal(signal);
  await after.idle();
  expect(after.sent).toBe(2);
});

test("barrier() is the end as of its call, not of what was sealed later", async () => {
  const held = new HeldSends(await open());
  const output = outputOf(held.transport);
  output.add(rising(0, 2), signal);
  output.seal(signal);
  const barrier = output.barrier();
  output.add(rising(2, 7), signal);
  output.seal(signal);
  held.release(2);
  await output.idle();
  expect(await barrier).toBe(2);
  expect(await output.barrier()).toBe(7);
});

test("barrier() stays where the found records begin until they have come again", async () => {
  const transport = await open();
  const before = outputOf(transport);
  before.add(rising(0, 6), signal);
  before.seal(signal);
  await before.idle();
  const after = outputOf(transport);
  await after.readBack(2, signal);
  expect(await after.barrier()).toBe(2);
  after.add(rows([2, 2, 2.5], [0, 3, 3.5]), signal);
  after.seal(signal);
  // A restart from a checkpoint made now computes records 4 and 5 again: it has to find them.
  expect(await after.barrier()).toBe(2);
  after.add(rows([1, 4, 4.5], [2, 5, 5.5]), signal);
  after.seal(signal);
  expect(await after.barrier()).toBe(6);
  expect(after.sent).toBe(0);
});

test("a found record that never comes again does not hold the barrier once its key is past it", async () => {
  const transport = await open();
  const before = outputOf(transport);
  before.add(rows([0, 5, 1]), signal);
  before.seal(signal);
  await before.idle();
  const after = outputOf(transport);
  await after.readBack(0, signal);
  after.add(rows([0, 6, 1]), signal);
  after.seal(signal);
  expect(await after.barrier()).toBe(2);
});

test("begin() takes nothing that is there for its own", async () => {
  const transport = await open();
  const before = outputOf(transport);
  before.add(rising(0, 4), signal);
  before.seal(signal);
  await before.idle();
  const after = outputOf(transport);
  await after.begin(signal);
  expect(await after.barrier()).toBe(4);
  after.add(rising(0, 1), signal);
  after.seal(signal);
  expect(await after.barrier()).toBe(5);
});
