import { expect, test } from "bun:test";
import { openTransport } from "../../../connectors/memory/index.ts";
import { failureOf } from "../../contract/failure-of.ts";
import { decodeBatches, encodeBatch } from "../../contract/record-batch.ts";
import { runTransportSuite } from "../../contract/transport.suite.ts";

const signal = AbortSignal.timeout(60_000);
const limits = { waitMsMax: 0, partitionBytesMax: 1_048_576, bytesMax: 1_048_576 };

runTransportSuite({
  name: "memory transport",
  histories: 50,
  async create() {
    const url = `memory:${crypto.randomUUID()}`;
    // A named log lives as long as somebody has it open.
    const holder = await openTransport(url, signal);
    return {
      open: async () => await openTransport(url, signal),
      dispose: async () => await holder.close(),
    };
  },
});

/** A batch of one record whose value is `bytes` long. */
const batchOf = (bytes: number): Uint8Array =>
  encodeBatch([{ key: null, value: "x".repeat(bytes), timeMs: 1_704_067_200_000 }]);

test("memory: without a name is a fresh log with each opener", async () => {
  const [a, b] = [await openTransport("memory:", signal), await openTransport("memory:", signal)];
  await a.ensureTopic({ name: "t", partitions: 1 }, signal);
  expect(await failureOf(b.partitionsOf("t", signal))).toMatchObject({ code: "TOPIC_UNKNOWN" });
});

// Goal: memory stays under `bytesMax`, and a reader that is left behind is told so. Method: far
// more than fits, then every offset that is still there is read.
test("over bytesMax the oldest batches go, and a reader left behind is told so (L2)", async () => {
  const log = await openTransport("memory:?bytesMax=10000", signal);
  await log.ensureTopic({ name: "t", partitions: 1 }, signal);
  for (let n = 0; n < 100; n += 1) expect(await log.produce("t", 0, batchOf(430), signal)).toBe(n);
  const [{ start, end } = { start: 0, end: 0 }] = await log.endsOf("t", [0], signal);
  expect(end).toBe(100);
  const oneBatch = batchOf(430).length;
  expect((end - start) * oneBatch).toBeLessThanOrEqual(10_000);
  // Segments are a quarter of the limit: at least half of it is kept.
  expect((end - start) * oneBatch).toBeGreaterThan(5_000);
  const behind = log.fetch([{ topic: "t", partition: 0, offset: start - 1 }], limits, signal);
  const details = { offset: start - 1, start, end };
  expect(await failureOf(behind)).toMatchObject({ code: "OFFSET_OUT_OF_RANGE", details });
  const offsets: number[] = [];
  for (let offset = start; offset < end; offset = offsets.at(-1)! + 1) {
    const [fetched] = await log.fetch([{ topic: "t", partition: 0, offset }], limits, signal);
    offsets.push(...decodeBatches(fetched!.bytes).map((record) => record.offset));
  }
  expect(offsets).toEqual(Array.from({ length: end - start }, (_, i) => start + i));
});

test("a batch over batchBytesMax or bytesMax is MESSAGE_TOO_LARGE; one of exactly that fits", async () => {
  const bytes = batchOf(2_000).length;
  for (const setting of ["batchBytesMax", "bytesMax"]) {
    const log = await openTransport(`memory:?${setting}=${bytes}`, signal);
    await log.ensureTopic({ name: "t", partitions: 1 }, signal);
    const failure = await failureOf(log.produce("t", 0, batchOf(2_001), signal));
    expect(failure).toMatchObject({ code: "MESSAGE_TOO_LARGE", details: { bytesMax: bytes } });
    for (let n = 0; n < 5; n += 1) {
      expect(await log.produce("t", 0, batchOf(2_000), signal)).toBe(n);
    }
  }
});

test("a topic needs a name Kafka would take and at least one partition", async () => {
  const log = await openTransport("memory:", signal);
  for (const [name, partitions] of [
    ["a b", 1],
    ["", 1],
    ["x".repeat(250), 1],
    ["t", 0],
    ["t", 1.5],
  ] as const) {
    const failure = await failureOf(log.ensureTopic({ name, partitions }, signal));
    expect(failure).toMatchObject({ code: "TRANSPORT_REJECTED" });
  }
});

test("offsetAt() of a compressed batch is its first offset: a lower bound", async () => {
  const log = await openTransport("memory:", signal);
  await log.ensureTopic({ name: "t", partitions: 1 }, signal);
  await log.produce("t", 0, batchOf(1), signal);
  const times = [1_704_067_300_000, 1_704_067_400_000];
  const compressed = encodeBatch(times.map((timeMs) => ({ key: null, value: "x", timeMs })));
  new DataView(compressed.buffer).setInt16(21, 1);
  await log.produce("t", 0, compressed, signal);
  expect(await log.offsetAt("t", 0, 1_704_067_350_000, signal)).toBe(1);
});
