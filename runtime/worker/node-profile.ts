/** Records of which one is timed: prime, so that no round of keys is always met at the same one. */
export const timedEvery = 61;

/**
 * Sums that are no node's, ms: reading rows, encoding outputs (which a node's emit may set off),
 * closing batches of them, waiting for whoever takes them, and a replay as a whole.
 */
export const profilePhases = ["readMs", "encodeMs", "sealMs", "waitMs", "totalMs"] as const;

/** A sum of `profilePhases`. */
export type ProfilePhase = (typeof profilePhases)[number];

const encodeAt = profilePhases.indexOf("encodeMs");

/** Floats of a node. */
const width = 3;

/**
 * Where one thread's time goes, node by node: shared memory, written by that thread alone.
 *
 *   Float64[…]         sums in the order of `profilePhases`
 *   Float64[node][3]   calls, calls that were timed, ms that those took
 *
 * Every record is counted and every `timedEvery`-th is timed: reading the clock costs as much as a
 * light node.
 */
export class NodeProfile {
  /** [node][calls, timed, ms]: generated code writes here. */
  readonly cells: Float64Array;
  readonly #phases: Float64Array;
  #left = timedEvery;

  constructor(memory: SharedArrayBuffer) {
    const { length } = profilePhases;
    this.#phases = new Float64Array(memory, 0, length);
    this.cells = new Float64Array(memory, length * 8);
  }

  /** Index in `cells` of node `node`. */
  static at(node: number): number {
    return node * width;
  }

  /** Node `node` is called. */
  count(node: number): void {
    this.cells[NodeProfile.at(node)]! += 1;
  }

  /** Time of the next call's start if it is its turn to be timed, else NaN. */
  start(): number {
    this.#left -= 1;
    if (this.#left > 0) return Number.NaN;
    this.#left = timedEvery;
    return this.clock();
  }

  /** A clock, ms, that stands still while outputs are encoded: what a node takes itself. */
  clock(): number {
    return performance.now() - this.#phases[encodeAt]!;
  }

  /** Notes what a call that began at `startedMs` took; nothing if that is NaN. */
  end(node: number, startedMs: number): void {
    if (startedMs !== startedMs) return;
    const at = NodeProfile.at(node);
    this.cells[at + 1]! += 1;
    this.cells[at + 2]! += this.clock() - startedMs;
  }

  /** The time, for `since`. */
  now(): number {
    return performance.now();
  }

  /** Adds what has passed since `startedMs` to a sum. */
  since(phase: ProfilePhase, startedMs = performance.now()): void {
    this.#phases[profilePhases.indexOf(phase)]! += performance.now() - startedMs;
  }

  get(phase: ProfilePhase): number {
    return this.#phases[profilePhases.indexOf(phase)]!;
  }

  callsOf(node: number): number {
    return this.cells[NodeProfile.at(node)]!;
  }

  /** Mean time of a timed call, ms, with the clock's own; NaN if none was timed. */
  msPerCallOf(node: number): number {
    const at = NodeProfile.at(node);
    return this.cells[at + 2]! / this.cells[at + 1]!;
  }
}

/** Memory for the profile of a graph of `nodes` nodes. */
export function newProfileMemory(nodes: number): SharedArrayBuffer {
  return new SharedArrayBuffer((profilePhases.length + nodes * width) * 8);
}

/** What reading the clock twice takes, ms: the least of many, to be taken off a timed call. */
export function clockCostMs(): number {
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 1_000; i += 1) {
    const startedMs = performance.now();
    least = Math.min(least, performance.now() - startedMs);
  }
  return least;
}
