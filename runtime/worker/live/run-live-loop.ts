import { openByRef } from "../../contract/connector.ts";
import { type CheckpointStore, type OpenStateStore } from "../../contract/state-store.ts";
import { type Transport } from "../../contract/transport.ts";
import { type Graph } from "../../graph/graph.ts";
import { LiveCheckpoints } from "../checkpoint/live-checkpoints.ts";
import { type LiveOrder } from "./live-order.ts";
import { LiveLoop, type LiveResult } from "./loop/live-loop.ts";

/** What a loop works with beside its order and graph. */
export interface LiveMeans {
  readonly transport: Transport;
  /** Where state goes if the order names no store; without, a run that dies has none. */
  readonly kept?: CheckpointStore;
}

/** Runs an order's loop in this thread, with the state store it names or what is kept for it. */
export async function runLiveLoop(
  order: LiveOrder,
  graph: Graph,
  { transport, kept }: LiveMeans,
  signal: AbortSignal,
): Promise<LiveResult> {
  if (order.state === undefined) {
    const checkpoints = kept === undefined ? undefined : new LiveCheckpoints(kept, order);
    return await new LiveLoop(order, graph, transport, checkpoints).run(signal);
  }
  const open = await openByRef<OpenStateStore>(order.state);
  const store = await open(order.state.url, signal);
  try {
    const checkpoints = new LiveCheckpoints(store, order);
    return await new LiveLoop(order, graph, transport, checkpoints).run(signal);
  } finally {
    await store.close();
  }
}
