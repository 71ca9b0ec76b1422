import { type CheckpointPart, FloatsPart } from "../../checkpoint/parts.ts";
import { type StreamLoop } from "../../task/stream-loop.ts";
import { type PlacedGate, type Task } from "../../task/task.ts";

interface StreamProgress {
  readonly loop: StreamLoop;
  /** What marks have said, by slot. */
  readonly marks: Float64Array;
}

/**
 * How far each key of a stage's partition has come, and what that decides.
 *
 *   R1  A stream's key has come as far as its marks say, and as its newest record does: up to just
 *       before the next time at which a record of it can close.
 *   R2  A node on one stream has come as far as the stream; a join as far as the input that is
 *       furthest behind.
 *   R3  Progress never falls. It is of data alone, so it is the same after a restart.
 */
export class StageProgress {
  readonly #task: Task;
  /** By node: how far each slot has come. Nodes on one stream have their stream's. */
  readonly #through = new Map<number, Float64Array>();
  readonly #streams: readonly StreamProgress[];
  readonly #marks = new Map<number, Float64Array>();
  readonly #gates: readonly PlacedGate[];

  /** `streams` are those of the stage. */
  constructor(task: Task, streams: readonly number[]) {
    this.#task = task;
    this.#gates = task.gates;
    this.#streams = streams.map((stream) => {
      const loop = task.streamOf(stream);
      const marks = newTimes(loop.store.slots);
      this.#marks.set(stream, marks);
      this.#through.set(stream, newTimes(loop.store.slots));
      return { loop, marks };
    });
    for (const { node, slots } of this.#gates) this.#through.set(node, newTimes(slots));
  }

  /** No record of `slot` that closed by `time` comes any more. */
  mark(stream: number, slot: number, time: number): void {
    const marks = this.#marks.get(stream)!;
    if (time > marks[slot]!) marks[slot] = time;
  }

  /** The same of all keys of a stream. */
  markAll(stream: number, time: number): void {
    const { length } = this.#marks.get(stream)!;
    for (let slot = 0; slot < length; slot += 1) this.mark(stream, slot, time);
  }

  /** How far each slot of `node` has come, ms. */
  of(node: number): Float64Array {
    return this.#through.get(this.#task.rootOf(node))!;
  }

  /** Runs what the records and marks taken since the last call decide. */
  advance(): void {
    for (const { loop, marks } of this.#streams) this.#advanceStream(loop, marks);
    for (const placed of this.#gates) this.#advanceGate(placed);
  }

  /** What a checkpoint keeps beside the windows. */
  parts(): readonly CheckpointPart[] {
    return this.#streams.map(({ marks }) => FloatsPart.ofArray(marks));
  }

  /** R1. */
  #advanceStream(loop: StreamLoop, marks: Float64Array): void {
    const through = this.#through.get(loop.node.index)!;
    for (let slot = 0; slot < through.length; slot += 1) {
      const time = Math.max(marks[slot]!, knownThrough(loop, slot));
      if (time <= through[slot]!) continue;
      through[slot] = time;
      loop.closeThrough(slot, time);
    }
  }

  /** R2. */
  #advanceGate({ gate, inputs, node, slots }: PlacedGate): void {
    const through = this.#through.get(node)!;
    for (let slot = 0; slot < slots; slot += 1) {
      let time = Number.POSITIVE_INFINITY;
      for (const { node: from, slotOf } of inputs) {
        time = Math.min(time, this.of(from)[slotOf[slot]!]!);
      }
      if (time <= through[slot]!) continue;
      through[slot] = time;
      gate.advanceSlot(slot, time);
    }
  }
}

/** What the newest record of a key says: the next one closes an interval later, at the earliest. */
function knownThrough({ node, store }: StreamLoop, slot: number): number {
  const close = store.closes[slot]!;
  return close === Number.NEGATIVE_INFINITY ? close : node.interval.closeOf(close) - 1;
}

function newTimes(slots: number): Float64Array {
  return new Float64Array(slots).fill(Number.NEGATIVE_INFINITY);
}
