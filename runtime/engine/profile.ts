import { type Graph } from "../graph/graph.ts";
import { clockCostMs, NodeProfile, type ProfilePhase } from "../worker/node-profile.ts";

/** A node's part of a run's time, all keys and threads together. */
export interface NodeTime {
  readonly name: string;
  readonly definitionId: string;
  readonly calls: number;
  /** Estimated from the calls that were timed: per call, ns, and in all. */
  readonly nsPerCall: number;
  readonly seconds: number;
}

/** Where a run's time went, all threads together. */
export interface Profile {
  readonly nodes: readonly NodeTime[];
  /** Adds up to the time the threads ran. */
  readonly phases: readonly { readonly name: string; readonly seconds: number }[];
}

/** Sums of a run's threads, s: `run` holds decode, compute and encode. */
export interface PhaseSeconds {
  readonly run: number;
  /** Encoding inside `run`. */
  readonly encode: number;
  /** Other phases by name: none of them inside `run`. */
  readonly others: Readonly<Record<string, number>>;
}

/** Sum of a phase over the threads, s. */
export function phaseSeconds(memories: readonly SharedArrayBuffer[], phase: ProfilePhase): number {
  return memories.reduce((ms, memory) => ms + new NodeProfile(memory).get(phase), 0) / 1_000;
}

/**
 * The profile of a run from its threads' memories. Decode is what is left of `run` without nodes
 * and encoding: walking batches, finding keys, filling windows, and calling.
 */
export function profileOf(
  graph: Graph,
  memories: readonly SharedArrayBuffer[],
  { run, encode, others }: PhaseSeconds,
): Profile {
  const profiles = memories.map((memory) => new NodeProfile(memory));
  const clockMs = clockCostMs();
  const nodes = graph.nodes
    .filter(({ kind }) => kind !== "stream")
    .map(({ index, name, definitionId }): NodeTime => {
      let calls = 0;
      let ms = 0;
      for (const profile of profiles) {
        const own = profile.callsOf(index);
        calls += own;
        const perCallMs = profile.msPerCallOf(index);
        if (perCallMs > clockMs) ms += own * (perCallMs - clockMs);
      }
      const nsPerCall = calls === 0 ? 0 : (ms / calls) * 1_000_000;
      return { name, definitionId, calls, nsPerCall, seconds: ms / 1_000 };
    });
  const compute = nodes.reduce((sum, { seconds }) => sum + seconds, 0);
  const decode = Math.max(0, run - encode - compute);
  const phases = Object.entries({ decode, compute, encode, ...others });
  return { nodes, phases: phases.map(([name, seconds]) => ({ name, seconds })) };
}
