import { expect, test } from "bun:test";
import { StreamInput, sma } from "../../../../nodes/index.ts";
import {
  countsOf,
  newMeterMemory,
  PartitionMeter,
  partitionFields,
  ThreadMeter,
} from "../../../../runtime/worker/live/meters.ts";
import { price } from "../../../harness/task-run.ts";
import { fetched, fixed, logBatch } from "./log-bytes.ts";
import { PartitionRun } from "./partition-run.ts";

const minute = 60_000;
const size = { threads: 2, inputs: 2, partitionsPerInput: 3, nodes: 4 };
const bars = new StreamInput({
  name: "bars",
  topic: "in",
  symbols: "*",
  maxKeys: 4,
  interval: "1m",
  period: 3,
  schema: price,
});

test("a thread shows its phase, when it was last answered, and outputs by node", () => {
  const memory = newMeterMemory(size);
  const meter = new ThreadMeter(memory, 1);
  const seen = new ThreadMeter(memory, 1);
  expect(seen.phase).toBe("fetch");
  expect(seen.get("fetchedMs")).toBe(0);
  const beforeMs = Date.now();
  meter.enter("compute");
  meter.emitted(3, 5);
  meter.emitted(3, 2);
  expect(seen.phase).toBe("compute");
  expect(seen.get("fetchedMs")).toBeGreaterThanOrEqual(beforeMs);
  expect([...seen.outputs]).toEqual([0, 0, 0, 7]);
  meter.enter("send");
  expect(seen.phase).toBe("send");
  expect([...new ThreadMeter(memory, 0).outputs]).toEqual([0, 0, 0, 0]);
});

test("a partition shows what each answer brought, and no other partition's", () => {
  const memory = newMeterMemory(size);
  const meter = new PartitionMeter(memory, 1, 2);
  const seen = new PartitionMeter(memory, 1, 2);
  const run = new PartitionRun([sma(bars, "close", { length: 3 })]);
  const take = (batch: Uint8Array, stableEnd: number): void => {
    const answer = { ...fetched([batch]), stableEnd };
    const before = countsOf(run.partition);
    run.consume(answer);
    meter.took(run.partition, answer, before);
  };
  const bar = (key: string, at: number) => ({ key, value: fixed("f", [at * minute, 1]) });
  take(logBatch([bar("A", 0), bar("A", 1), bar("A", 1), { key: "A", value: "x" }]), 10);
  expect(seen.get("records")).toBe(4);
  expect(seen.get("duplicate")).toBe(1);
  expect(seen.get("deadLetters")).toBe(1);
  expect(seen.get("slowPath")).toBe(1);
  expect(seen.get("position")).toBe(4);
  expect(seen.get("lag")).toBe(6);
  take(logBatch([bar("B", 5), bar("A", 0)], { at: 4 }), 6);
  expect(seen.get("records")).toBe(6);
  expect(seen.get("late")).toBe(1);
  expect(seen.get("lag")).toBe(0);
  meter.look(run.partition);
  expect(seen.get("watermarkMs")).toBe(6 * minute);
  for (const [input, partition] of [
    [0, 2],
    [1, 1],
  ] as const) {
    expect(new PartitionMeter(memory, input, partition).get("records")).toBe(0);
  }
});

test("a checkpoint is counted with its time and when it was", () => {
  const memory = newMeterMemory(size);
  const meter = new PartitionMeter(memory, 0, 0);
  const beforeMs = Date.now();
  meter.checkpointed(performance.now() - 30);
  meter.checkpointed(performance.now() - 20);
  expect(meter.get("checkpoints")).toBe(2);
  expect(meter.get("checkpointMs")).toBeGreaterThanOrEqual(20);
  expect(meter.get("checkpointedMs")).toBeGreaterThanOrEqual(beforeMs);
});

test("memory is sized by what the run has", () => {
  const { threadRows, partitionRows, outputs } = newMeterMemory(size);
  expect(threadRows.byteLength).toBe(2 * 2 * 8);
  expect(partitionRows.byteLength).toBe(2 * 3 * partitionFields.length * 8);
  expect(outputs.byteLength).toBe(2 * 4 * 8);
});
