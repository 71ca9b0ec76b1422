/** The worker thread's main module, and the only place that touches `parentPort`. */
import { parentPort } from "node:worker_threads";
import { openByRef } from "../contract/connector.ts";
import { type OpenHistoryStore } from "../contract/history-store.ts";
import { type OpenTransport } from "../contract/transport.ts";
import { QmtlError, toErrorData } from "../core/errors.ts";
import { prepareHere } from "../graph/strategy.ts";
import { type LiveResult } from "./live/live-loop.ts";
import { type LiveOrder } from "./live/live-order.ts";
import { runLiveLoop } from "./live/run-live-loop.ts";
import { type Order, type ReplayOrder, type Report } from "./protocol.ts";
import { runReplay } from "./replay/replay-run.ts";
import { openState, replayCheckpoints } from "./replay/replay-state.ts";

/** Batches of outputs on their way to the main thread, at most. */
const outputsInFlightMax = 8;

if (parentPort === null) throw new Error("Cannot run the worker entry in the main thread");
const port = parentPort;
const stopping = new AbortController();
const outputs = { inFlight: 0 };
let onRoom: (() => void) | undefined;

function report(message: Report): void {
  port.postMessage(message);
}

port.on("message", (order: Order) => {
  switch (order.kind) {
    case "replay":
      void runToEnd(async () => await replayHere(order.order));
      return;
    case "live":
      void runToEnd(async () => report({ kind: "ended", result: await liveHere(order.order) }));
      return;
    case "taken":
      outputs.inFlight -= order.count;
      onRoom?.();
      return;
    case "stop":
      stopping.abort(new QmtlError("ABORTED", "Cannot go on: the run was stopped"));
      onRoom?.();
  }
});

/** Runs an order; whatever comes of it, one report says so and the thread ends. */
async function runToEnd(run: () => Promise<void>): Promise<void> {
  try {
    await run();
  } catch (error) {
    report({ kind: "failed", error: toErrorData(error) });
  } finally {
    port.close();
  }
}

async function liveHere(order: LiveOrder): Promise<LiveResult> {
  const { graph } = await prepareHere(order.strategy, order.flags, order.ids);
  const open = await openByRef<OpenTransport>(order.transport);
  const transport = await open(order.transport.url, stopping.signal);
  try {
    return await runLiveLoop(order, graph, transport, stopping.signal);
  } finally {
    await transport.close();
  }
}

async function replayHere(order: ReplayOrder): Promise<void> {
  const { graph } = await prepareHere(order.strategy, order.flags, order.ids);
  const open = await openByRef<OpenHistoryStore>(order.history);
  const options = { mode: "read", isSimulated: order.isSimulated } as const;
  const store = await open(order.history.url, options, stopping.signal);
  const state = await openState(order.state, stopping.signal);
  try {
    const counts = await runReplay(
      {
        ...order,
        graph,
        store,
        checkpoints: state === undefined ? undefined : replayCheckpoints(state, order),
        onOutputs: (rows) => {
          outputs.inFlight += 1;
          report({ kind: "rows", outputs: rows });
        },
        onRows: (root, rows) => report({ kind: "progress", root, rows }),
        drain: async () => await untilInFlight(outputsInFlightMax - 1),
        settle: async () => await untilInFlight(0),
      },
      stopping.signal,
    );
    report({ kind: "done", counts });
  } finally {
    await state?.close();
    await store.close();
  }
}

/** Back pressure: waits until the main thread has stored all but `most` of what it was sent. */
async function untilInFlight(most: number): Promise<void> {
  while (outputs.inFlight > most && !stopping.signal.aborted) {
    await new Promise<void>((resolve) => {
      onRoom = resolve;
    });
  }
  // Lets orders in even where nothing waits.
  await Promise.resolve();
  stopping.signal.throwIfAborted();
}
