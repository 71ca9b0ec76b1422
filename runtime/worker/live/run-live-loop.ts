import { openByRef } from "../../contract/connector.ts";
import { type OpenStateStore } from "../../contract/state-store.ts";
import { type Transport } from "../../contract/transport.ts";
import { type Graph } from "../../graph/graph.ts";
import { LiveCheckpoints } from "../checkpoint/live-checkpoints.ts";
import { LiveLoop, type LiveResult } from "./live-loop.ts";
import { type LiveOrder } from "./live-order.ts";

/** Runs an order's loop in this thread, with the state store it names, if any. */
export async function runLiveLoop(
  order: LiveOrder,
  graph: Graph,
  transport: Transport,
  signal: AbortSignal,
): Promise<LiveResult> {
  if (order.state === undefined) {
    return await new LiveLoop(order, graph, transport, undefined).run(signal);
  }
  const open = await openByRef<OpenStateStore>(order.state);
  const store = await open(order.state.url, signal);
  try {
    const checkpoints = new LiveCheckpoints(store, order.deployment, order.ids);
    return await new LiveLoop(order, graph, transport, checkpoints).run(signal);
  } finally {
    await store.close();
  }
}
