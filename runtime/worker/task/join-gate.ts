import { type ColumnStore } from "../../window/column-store.ts";
import { type NodeCall } from "./node-call.ts";
import { type OutputTap } from "./node-output.ts";
import { PendingRows } from "./pending-rows.ts";

/** An input of a gate: its own store at the join's keys. */
export interface GateInput {
  readonly store: ColumnStore;
  readonly isCoarser: boolean;
}

/** How a gate works beside its node. */
export interface GateOptions {
  readonly slots: number;
  /** `heartbeat[0]` names the node while it runs, `heartbeat[1]` counts runs. */
  readonly heartbeat: Int32Array;
  /** Bars of a key and input that may wait, at most: more are an error. */
  readonly pendingRowsMax: number;
}

/**
 * Holds back a node that waits for several roots until all of them have come to T.
 *
 *   G1  A record waits in its input's queue until T ≥ its close is decided; so arrival order,
 *       threads and partition count have no effect.
 *   G2  The node runs once per key at each decided T that closes a bar of its own interval and at
 *       which an input that is not coarser has a bar in that interval.
 *   G3  At T its stores hold every record closed by T and nothing else.
 */
export class JoinGate {
  readonly #call: NodeCall;
  readonly #inputs: readonly GateInput[];
  /** [input][slot] */
  readonly #pending: readonly (readonly PendingRows[])[];
  readonly #slots: number;
  /** Close of the last call, by slot: what comes later for it is late. */
  readonly #decided: Float64Array;
  readonly #heartbeat: Int32Array;
  /** True while the node is quarantined: its windows go on, but it is not called. */
  isSilent = false;

  constructor(
    call: NodeCall,
    inputs: readonly GateInput[],
    { heartbeat, pendingRowsMax, slots }: GateOptions,
  ) {
    this.#heartbeat = heartbeat;
    this.#call = call;
    this.#inputs = inputs;
    this.#slots = slots;
    this.#decided = new Float64Array(slots).fill(Number.NEGATIVE_INFINITY);
    this.#pending = inputs.map(({ store }) =>
      Array.from({ length: slots }, () => new PendingRows(store.columnCount, pendingRowsMax)),
    );
  }

  /**
   * A tap for input `input`: upstream slot s feeds the join's slots `slotsOf[s]`. A record of a
   * time that is decided (`onLate: insert`) goes to its place in the window and fires nothing.
   */
  tap(input: number, slotsOf: readonly (readonly number[])[]): OutputTap {
    const pending = this.#pending[input]!;
    const { store } = this.#inputs[input]!;
    const decided = this.#decided;
    return {
      take(slot, close, from, at) {
        for (const own of slotsOf[slot] ?? []) {
          if (close > decided[own]!) pending[own]!.push(close, from.values, at, from.stride);
          else insertLate(store, own, from, at);
        }
      },
    };
  }

  /** Records of an input that wait at `slot`. */
  pendingOf(input: number, slot: number): number {
    return this.#pending[input]![slot]!.count;
  }

  /** What a checkpoint keeps beside the stores. */
  get waiting(): {
    readonly pending: readonly (readonly PendingRows[])[];
    readonly decided: Float64Array;
    readonly stores: readonly ColumnStore[];
  } {
    return {
      pending: this.#pending,
      decided: this.#decided,
      stores: this.#inputs.map(({ store }) => store),
    };
  }

  /**
   * Forgets the node's state and the records its readers see, and those of the inputs that are
   * silent themselves: what comes later does not follow on them.
   */
  forget(isInputSilent: readonly boolean[]): void {
    this.#call.forget();
    this.#call.output.forget();
    for (const [i, { store }] of this.#inputs.entries()) {
      if (isInputSilent[i] !== true) continue;
      for (let slot = 0; slot < this.#slots; slot += 1) store.clear(slot);
    }
  }

  /** All inputs of all keys have come to `time`: runs the node for what that decides. */
  advance(time: number): void {
    for (let slot = 0; slot < this.#slots; slot += 1) this.advanceSlot(slot, time);
  }

  /** All inputs of `slot` have come to `time`. */
  advanceSlot(slot: number, time: number): void {
    const { interval } = this.#call.node;
    for (;;) {
      let head = Number.POSITIVE_INFINITY;
      for (let i = 0; i < this.#inputs.length; i += 1) {
        if (this.#inputs[i]!.isCoarser) continue;
        head = Math.min(head, this.#pending[i]![slot]!.headClose);
      }
      const close = Number.isFinite(head) ? interval.closeOf(head - 1) : head;
      if (close > time) break;
      for (let i = 0; i < this.#inputs.length; i += 1) this.#release(i, slot, close);
      this.#decided[slot] = close;
      this.#fire(slot, close);
    }
    for (let i = 0; i < this.#inputs.length; i += 1) {
      if (this.#inputs[i]!.isCoarser) this.#release(i, slot, time);
    }
  }

  #fire(slot: number, close: number): void {
    const heartbeat = this.#heartbeat;
    heartbeat[1] = (heartbeat[1]! + 1) | 0;
    if (this.isSilent) return;
    heartbeat[0] = this.#call.node.index;
    this.#call.fire(slot, close);
  }

  /** G3. */
  #release(input: number, slot: number, time: number): void {
    const rows = this.#pending[input]![slot]!;
    const { store } = this.#inputs[input]!;
    while (rows.headClose <= time) {
      store.closes[slot] = rows.headClose;
      rows.shift(store.values, store.append(slot), store.stride);
    }
  }
}

function insertLate(store: ColumnStore, slot: number, from: ColumnStore, fromAt: number): void {
  const at = store.insert(slot, from.values[fromAt]!);
  if (at < 0) return;
  for (let i = 0; i < store.columnCount; i += 1) {
    store.values[at + i * store.stride] = from.values[fromAt + i * from.stride]!;
  }
}
