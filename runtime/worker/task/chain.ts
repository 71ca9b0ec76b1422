import { type GraphNode } from "../../graph/graph.ts";
import { type NodeCall } from "./node-call.ts";

const none = Number.POSITIVE_INFINITY;

/** One node of a chain, with what it waits for. */
export interface ChainedCall {
  readonly call: NodeCall;
  /** Stores of the inputs that are not coarser: their newest bar makes the node due. */
  readonly awaited: readonly { readonly closes: Float64Array }[];
  /** 1 for each slot whose key the node is declared for. */
  readonly isHere: Uint8Array;
}

interface Link extends ChainedCall {
  /** Close of the node's interval that has begun, by slot; undefined if it is the stream's own. */
  readonly pending: Float64Array | undefined;
}

/**
 * The nodes that hang on one stream alone, in topological order. They run at once on each accepted
 * record and wait for no mark: their only root has come to T when the record has.
 *
 *   K1  `step(slot, T)` runs each node whose own interval closes at T and that had a bar in it.
 *   K2  An interval coarser than the stream's closes with its last bar, or when a later record
 *       shows that it is over; then the nodes run before that record is seen.
 *   K3  Steps of a slot come in rising T, no T twice.
 */
export class Chain {
  /** True if no interval is coarser than the stream's: `closeThrough` has nothing to do. */
  readonly isEven: boolean;
  readonly #links: readonly Link[];
  readonly #coarse: readonly Float64Array[];

  readonly #heartbeat: Int32Array;

  /** `heartbeat[0]` names the node that runs, `heartbeat[1]` counts steps. */
  constructor(
    stream: GraphNode,
    calls: readonly ChainedCall[],
    slots: number,
    heartbeat: Int32Array,
  ) {
    this.#heartbeat = heartbeat;
    this.#links = calls.map((chained) => ({
      ...chained,
      pending:
        chained.call.node.interval === stream.interval
          ? undefined
          : new Float64Array(slots).fill(none),
    }));
    this.#coarse = this.#links
      .map(({ pending }) => pending)
      .filter((pending) => pending !== undefined);
    this.isEven = this.#coarse.length === 0;
  }

  /** Intervals that have begun, by node and slot: part of a checkpoint. */
  get pending(): readonly Float64Array[] {
    return this.#coarse;
  }

  /** Forgets the interval that has begun for node `node`. */
  forget(node: number): void {
    for (const { call, pending } of this.#links) {
      if (call.node.index === node) pending?.fill(none);
    }
  }

  /** K1. */
  step(slot: number, close: number): void {
    const heartbeat = this.#heartbeat;
    heartbeat[1] = (heartbeat[1]! + 1) | 0;
    for (const { call, awaited, isHere, pending } of this.#links) {
      if (isHere[slot] === 0) continue;
      let isFresh = false;
      for (const { closes } of awaited) if (closes[slot] === close) isFresh = true;
      if (pending === undefined) {
        if (isFresh) {
          heartbeat[0] = call.node.index;
          call.fire(slot, close);
        }
        continue;
      }
      if (isFresh) pending[slot] = call.node.interval.closeOf(close - 1);
      if (pending[slot] !== close) continue;
      pending[slot] = none;
      heartbeat[0] = call.node.index;
      call.fire(slot, close);
    }
  }

  /** K2: runs what closed by `time`, in order. */
  closeThrough(slot: number, time: number): void {
    if (this.isEven) return;
    for (;;) {
      let next = none;
      for (const pending of this.#coarse) if (pending[slot]! < next) next = pending[slot]!;
      if (next > time) return;
      this.step(slot, next);
    }
  }
}
