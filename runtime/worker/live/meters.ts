import { type FetchedBytes } from "../../contract/transport.ts";
import { type StreamCounts } from "../task/stream-loop.ts";
import { type PartitionCounts, type PartitionReader } from "./partition-task.ts";
import { type WaitingJoin } from "./repartition/pending-hold.ts";

/** How many of each the meters have room for. */
export interface MeterSize {
  readonly threads: number;
  /** Streams that are read. */
  readonly inputs: number;
  /** Partitions of each input. */
  readonly partitionsPerInput: number;
  /** Nodes of the graph. */
  readonly nodes: number;
}

/**
 * What a live run shows of each thread, partition and node: read by whoever is asked for metrics,
 * written by the thread that owns the row alone, once per fetch answer and never per record. Sized
 * at the start; sums go on when a thread is started anew.
 *
 *   threadRows     Float64[thread][…]     in the order of `threadFields`
 *   partitionRows  Float64[input][p][…]   in the order of `partitionFields`
 *   outputs        Float64[thread][node]  records that each node has emitted
 */
export interface MeterMemory extends MeterSize {
  readonly threadRows: SharedArrayBuffer;
  readonly partitionRows: SharedArrayBuffer;
  readonly outputs: SharedArrayBuffer;
}

/** Names of a thread's floats; `fetchedMs` is when a fetch was last answered, 0 never. */
export const threadFields = ["fetchedMs", "phase"] as const;

/**
 * Names of a partition's floats. `lag` is in records as of the last answer, `watermarkMs` the
 * newest close time taken; `progressMs` and `checkpointedMs` say when that last was, 0 never.
 * `held` and what follows are a `WaitingJoin`: 0 held is none.
 */
export const partitionFields = [
  "records",
  "bytes",
  "slowPath",
  "deadLetters",
  "foreign",
  "late",
  "duplicate",
  "lag",
  "position",
  "watermarkMs",
  "progressMs",
  "checkpoints",
  "checkpointMs",
  "checkpointedMs",
  "held",
  "heldJoin",
  "heldInput",
  "heldSlot",
] as const;

/** A float of a thread. */
export type ThreadField = (typeof threadFields)[number];

/** A float of a partition. */
export type PartitionField = (typeof partitionFields)[number];

/** What a thread's loop is at: its field `phase` is the index. */
export const loopPhases = ["fetch", "compute", "send"] as const;

/** A phase of a thread's loop. */
export type LoopPhase = (typeof loopPhases)[number];

/** Time between two looks at the keys of a partition for its newest close time, at least, ms. */
const watermarkMsMin = 100;

/** Memory for meters of `size`. */
export function newMeterMemory(size: MeterSize): MeterMemory {
  const { threads, inputs, partitionsPerInput, nodes } = size;
  return {
    ...size,
    threadRows: floats(threads * threadFields.length),
    partitionRows: floats(inputs * partitionsPerInput * partitionFields.length),
    outputs: floats(threads * nodes),
  };
}

function floats(count: number): SharedArrayBuffer {
  return new SharedArrayBuffer(count * 8);
}

/** One thread's meters. */
export class ThreadMeter {
  /** Records that each node has emitted, by its index in the graph. */
  readonly outputs: Float64Array;
  readonly #floats: Float64Array;

  constructor(memory: MeterMemory, thread: number) {
    const { length } = threadFields;
    this.#floats = new Float64Array(memory.threadRows, thread * length * 8, length);
    this.outputs = new Float64Array(memory.outputs, thread * memory.nodes * 8, memory.nodes);
  }

  get(field: ThreadField): number {
    return this.#floats[threadFields.indexOf(field)]!;
  }

  get phase(): LoopPhase {
    return loopPhases[this.get("phase")]!;
  }

  /** The loop goes on with `phase`. */
  enter(phase: LoopPhase): void {
    this.#floats[threadFields.indexOf("phase")] = loopPhases.indexOf(phase);
    if (phase === "compute") this.#floats[threadFields.indexOf("fetchedMs")] = Date.now();
  }

  /** Node `node` has emitted `count` records. */
  emitted(node: number, count: number): void {
    this.outputs[node]! += count;
  }
}

/** What `PartitionMeter.took` compares with. */
export type CountsBefore = Omit<PartitionCounts, "bytes"> & StreamCounts;

/** Counts of a partition as they are before an answer is consumed. */
export function countsOf({ counts, loops }: PartitionReader): CountsBefore {
  const all = { ...counts, accepted: 0, late: 0, duplicate: 0 };
  for (const loop of loops) {
    all.accepted += loop.counts.accepted;
    all.late += loop.counts.late;
    all.duplicate += loop.counts.duplicate;
  }
  return all;
}

/** One partition's meters. */
export class PartitionMeter {
  readonly #floats: Float64Array;
  #lookedMs = Number.NEGATIVE_INFINITY;

  /** `input` counts the run's inputs in their order. */
  constructor(memory: MeterMemory, input: number, partition: number) {
    const { length } = partitionFields;
    const row = input * memory.partitionsPerInput + partition;
    this.#floats = new Float64Array(memory.partitionRows, row * length * 8, length);
  }

  get(field: PartitionField): number {
    return this.#floats[partitionFields.indexOf(field)]!;
  }

  /** The task has consumed `answer`; `before` are its counts from before. */
  took(task: PartitionReader, answer: FetchedBytes, before: CountsBefore): void {
    const now = countsOf(task);
    this.#add("bytes", answer.bytes.length);
    this.#add("records", now.records - before.records);
    this.#add("slowPath", now.slowPath - before.slowPath);
    this.#add("deadLetters", now.deadLetters - before.deadLetters);
    this.#add("foreign", now.foreign - before.foreign);
    this.#add("late", now.late - before.late);
    this.#add("duplicate", now.duplicate - before.duplicate);
    this.#set("lag", answer.stableEnd - task.nextOffset);
    this.#set("position", task.nextOffset);
    this.#set("progressMs", Date.now());
  }

  /** A turn of the loop is over: looks how far the partition's keys have come, now and then. */
  look(task: PartitionReader): void {
    const nowMs = performance.now();
    if (nowMs - this.#lookedMs < watermarkMsMin) return;
    this.#lookedMs = nowMs;
    let newest = 0;
    for (const { store } of task.loops) {
      for (let slot = 0; slot < task.keys.count; slot += 1) {
        newest = Math.max(newest, store.closes[slot]!);
      }
    }
    this.#set("watermarkMs", newest);
  }

  /** A join waits for another input, while records of this partition are held back; or none does. */
  waits(waiting: WaitingJoin | undefined): void {
    this.#set("held", waiting?.held ?? 0);
    if (waiting === undefined) return;
    this.#set("heldJoin", waiting.join);
    this.#set("heldInput", waiting.input);
    this.#set("heldSlot", waiting.slot);
  }

  /** A checkpoint that began at `startedMs` (of `performance.now`) is stored. */
  checkpointed(startedMs: number): void {
    this.#add("checkpoints", 1);
    this.#set("checkpointMs", performance.now() - startedMs);
    this.#set("checkpointedMs", Date.now());
  }

  #set(field: PartitionField, value: number): void {
    this.#floats[partitionFields.indexOf(field)] = value;
  }

  #add(field: PartitionField, value: number): void {
    this.#floats[partitionFields.indexOf(field)]! += value;
  }
}
