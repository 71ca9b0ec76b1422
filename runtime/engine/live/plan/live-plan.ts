import { randomUUID } from "node:crypto";
import { availableParallelism } from "node:os";
import { type Graph } from "../../../graph/graph.ts";
import { type StagedGraph } from "../../../graph/stages.ts";
import { idsOf } from "../../../graph/strategy.ts";
import { newBoardMemory } from "../../../worker/live/board.ts";
import { type LiveOrder } from "../../../worker/live/live-order.ts";
import { type MeterMemory, newMeterMemory } from "../../../worker/live/meters.ts";
import { newProfileMemory } from "../../../worker/node-profile.ts";
import { type Live } from "../live.ts";
import { paceDefaults } from "../live-limits.ts";
import { readyTopics, topicsOf } from "./topics.ts";

/** A live run, thread by thread. */
export interface LivePlan {
  /** One a thread. */
  readonly orders: readonly LiveOrder[];
  readonly meters: MeterMemory;
  /** True: the one order runs in this thread. */
  readonly isLocal: boolean;
}

/**
 * A live run's threads: topics checked and made, partitions dealt, shared memory sized.
 *
 * @throws QmtlError PUBLISH_TOPIC_SHARED, TOPIC_UNKNOWN, TOPIC_PARTITIONS_MISMATCH, or what the
 *   transport fails with.
 */
export async function planOf(
  live: Live,
  { source, staged }: { readonly source: Graph; readonly staged: StagedGraph },
  signal: AbortSignal,
): Promise<LivePlan> {
  const transport = live.connectors.refOf("transport", live.transport);
  const { graph } = staged;
  const topics = topicsOf(staged);
  const partitions = await readyTopics(transport, topics, signal);
  const inputs = [...topics.read, ...topics.forwarded];
  const isLocal = live.ref === undefined || live.transport.startsWith("memory:");
  const wanted = isLocal ? 1 : Math.min(partitions, live.threads ?? availableParallelism());
  const board = newBoardMemory(wanted);
  const meters = newMeterMemory({
    threads: wanted,
    inputs: inputs.length,
    partitionsPerInput: partitions,
    nodes: graph.nodes.length,
  });
  const base = {
    strategy: live.ref ?? { module: "", exportName: "" },
    flags: live.flags,
    ids: idsOf(source),
    deployment: live.deployment,
    run: randomUUID(),
    transport,
    // What threads keep in memory must outlive them: the coordinator keeps it.
    state:
      live.state === undefined || (!isLocal && isInMemory(live.state))
        ? undefined
        : live.connectors.refOf("state", live.state),
    inputs,
    outputs: topics.outputs,
    offsetReset: live.offsetReset,
    pace: { ...paceDefaults, ...live.pace },
    recordsMax: live.recordsMax,
    latency: live.latency,
    quarantined: [],
    isPoisoning: process.env["NODE_ENV"] === "development",
    board,
    meters,
  };
  const indices = Array.from({ length: partitions }, (_, partition) => partition);
  const orders = Array.from(
    { length: wanted },
    (_, thread): LiveOrder => ({
      ...base,
      ...(live.profile === true ? { profile: newProfileMemory(graph.nodes.length) } : {}),
      thread,
      partitions: indices.filter((partition) => partition % wanted === thread),
    }),
  );
  return { orders, meters, isLocal };
}

/** True for a store that lives as long as its thread only. */
export function isInMemory(state: string | undefined): boolean {
  return state === undefined || state.startsWith("memory:");
}
