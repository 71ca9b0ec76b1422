import { type PlacedGate, type Task } from "../../task/task.ts";
import { type StageProgress } from "./stage-progress.ts";

/** Joins that can't go on: an input of theirs is so far behind that the others are held back. */
export interface WaitingJoin {
  /** Inputs of keys that are held back. */
  readonly held: number;
  /** Index of one of the joins, */
  readonly join: number;
  /** its input that is missing */
  readonly input: number;
  /** and the slot of the key at which it is. */
  readonly slot: number;
}

/** The input of a gate that is furthest behind at `slot`. */
export function missingInput(
  { inputs }: PlacedGate,
  slot: number,
  progress: StageProgress,
): number {
  const times = inputs.map(({ node, slotOf }) => progress.of(node)[slotOf[slot]!]!);
  return times.indexOf(Math.min(...times));
}

/**
 * Which streams of a task wait too long for others: they are not fetched until half of what waits
 * has gone on. If all of them wait for each other, none is held: one of them has what the others
 * lack.
 */
export class PendingHold {
  /** Undefined if nothing is held. */
  waiting: WaitingJoin | undefined;
  readonly #task: Task;
  readonly #progress: StageProgress;
  readonly #max: number;
  readonly #streams: ReadonlySet<number>;
  #held: ReadonlySet<number> = new Set();

  /** `streams` are those of the task; `max` bars of a key and input may wait. */
  constructor(
    task: Task,
    progress: StageProgress,
    { streams, max }: { readonly streams: readonly number[]; readonly max: number },
  ) {
    this.#task = task;
    this.#progress = progress;
    this.#streams = new Set(streams);
    this.#max = max;
  }

  /** The streams that are to be held as of now. */
  look(): ReadonlySet<number> {
    const held = new Set<number>();
    this.waiting = undefined;
    for (const placed of this.#task.gates) this.#lookAt(placed, held);
    if (held.size === this.#streams.size) held.clear();
    if (held.size === 0) this.waiting = undefined;
    this.#held = held;
    return held;
  }

  #lookAt(placed: PlacedGate, held: Set<number>): void {
    for (const [input, { node }] of placed.inputs.entries()) {
      const streams = this.#streamsOf(node);
      const wasHeld = streams.some((stream) => this.#held.has(stream));
      const limit = wasHeld ? this.#max / 2 : this.#max;
      for (let slot = 0; slot < placed.slots; slot += 1) {
        if (placed.gate.pendingOf(input, slot) < limit) continue;
        for (const stream of streams) held.add(stream);
        const missing = missingInput(placed, slot, this.#progress);
        const { held: count = 0 } = this.waiting ?? {};
        this.waiting = { held: count + 1, join: placed.node, input: missing, slot };
      }
    }
  }

  /** The streams that a node hangs on. */
  #streamsOf(node: number): readonly number[] {
    const root = this.#task.rootOf(node);
    if (this.#streams.has(root)) return [root];
    const gate = this.#task.gates.find((placed) => placed.node === root);
    return (gate?.inputs ?? []).flatMap((input) => this.#streamsOf(input.node));
  }
}
