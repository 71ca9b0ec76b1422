/** The main module of a live thread, and the only place that touches `parentPort`. */
import { type MessagePort, parentPort } from "node:worker_threads";
import { openByRef } from "../contract/connector.ts";
import { type OpenTransport } from "../contract/transport.ts";
import { QmtlError, toErrorData } from "../core/errors.ts";
import { prepareHere } from "../graph/strategy.ts";
import { KeptState } from "./checkpoint/kept-state.ts";
import { type LiveOrder } from "./live/live-order.ts";
import { type LiveResult } from "./live/loop/live-loop.ts";
import { runLiveLoop } from "./live/run-live-loop.ts";
import { type Order, type Report } from "./protocol.ts";

if (parentPort === null) throw new Error("Cannot run the worker entry in the main thread");
const port = parentPort;
const stopping = new AbortController();

function report(message: Report): void {
  port.postMessage(message);
}

port.on("message", (order: Order) => {
  switch (order.kind) {
    case "live":
      void runToEnd(order.order, order.state);
      return;
    case "stop":
      stopping.abort(new QmtlError("ABORTED", "Cannot go on: the run was stopped"));
  }
});

/** Runs the order; whatever comes of it, one report says so and the thread ends. */
async function runToEnd(order: LiveOrder, state: MessagePort): Promise<void> {
  const kept = new KeptState(state);
  try {
    report({ kind: "ended", result: await liveHere(order, kept) });
  } catch (error) {
    report({ kind: "failed", error: toErrorData(error) });
  } finally {
    kept.close();
    port.close();
  }
}

async function liveHere(order: LiveOrder, kept: KeptState): Promise<LiveResult> {
  const { graph } = await prepareHere(order.strategy, order.flags, order.ids);
  const open = await openByRef<OpenTransport>(order.transport);
  const transport = await open(order.transport.url, stopping.signal);
  try {
    return await runLiveLoop(order, graph, { transport, kept }, stopping.signal);
  } finally {
    await transport.close();
  }
}
