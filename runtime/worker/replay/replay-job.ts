import { type MessagePort } from "node:worker_threads";
import { type ErrorData, QmtlError, toErrorData } from "../../core/errors.ts";
import { type Root } from "../../graph/components.ts";
import { prepareHere } from "../../graph/strategy.ts";
import { openLastingHistory } from "../outage/lasting-history.ts";
import { openLastingState } from "../outage/lasting-state.ts";
import { type NodeRows, type ReplayOrder, type TaskCounts } from "../protocol.ts";
import { runReplay } from "./replay-run.ts";
import { replayCheckpoints } from "./replay-state.ts";

/** Batches of outputs on their way to the coordinator, at most. */
const outputsInFlightMax = 8;

/** A share of a replay for a pool's thread, and the port it talks over. */
export interface ReplayJob {
  readonly order: ReplayOrder;
  readonly port: MessagePort;
}

/** Job to coordinator. Plain data only. */
export type ReplayNews =
  | { readonly kind: "rows"; readonly outputs: readonly NodeRows[] }
  | { readonly kind: "progress"; readonly root: Root; readonly rows: number }
  | { readonly kind: "note"; readonly text: string }
  /** Nothing comes after this. */
  | { readonly kind: "end" };

/** Coordinator to job. */
export type ReplayWord =
  /** One batch of outputs has been stored: the job may send another. */
  { readonly kind: "taken" } | { readonly kind: "stop" };

/** How a job ended: an error crosses threads as plain data. */
export type ReplayEnd = { readonly counts: TaskCounts } | { readonly error: ErrorData };

/** Runs one share of a replay: imports the strategy, opens the stores, replays, returns the counts. */
export async function runReplayJob({ order, port }: ReplayJob): Promise<ReplayEnd> {
  const stopping = new AbortController();
  const outputs = { inFlight: 0 };
  let onRoom: (() => void) | undefined;
  port.on("message", (word: ReplayWord) => {
    if (word.kind === "taken") outputs.inFlight -= 1;
    else stopping.abort(new QmtlError("ABORTED", "Cannot go on: the run was stopped"));
    onRoom?.();
  });
  const tell = (news: ReplayNews): void => port.postMessage(news);
  /** Back pressure: waits until the coordinator has stored all but `most` of what it was sent. */
  const untilInFlight = async (most: number): Promise<void> => {
    while (outputs.inFlight > most && !stopping.signal.aborted) {
      await new Promise<void>((resolve) => {
        onRoom = resolve;
      });
    }
    stopping.signal.throwIfAborted();
  };
  try {
    const { graph } = await prepareHere(order.strategy, order.flags, order.ids);
    const options = { mode: "read", isSimulated: order.isSimulated } as const;
    const onNote = (text: string): void => tell({ kind: "note", text });
    const store = await openLastingHistory(
      { ref: order.history, options, onNote, limitMs: order.outageMsMax },
      stopping.signal,
    );
    const state = order.state && (await openLastingState(order.state, onNote, stopping.signal));
    try {
      const counts = await runReplay(
        {
          ...order,
          graph,
          store,
          checkpoints: state === undefined ? undefined : replayCheckpoints(state, order),
          onOutputs: (rows) => {
            outputs.inFlight += 1;
            tell({ kind: "rows", outputs: rows });
          },
          onRows: (root, rows) => tell({ kind: "progress", root, rows }),
          onNote,
          drain: async () => await untilInFlight(outputsInFlightMax - 1),
          settle: async () => await untilInFlight(0),
        },
        stopping.signal,
      );
      return { counts };
    } finally {
      await state?.close();
      await store.close();
    }
  } catch (error) {
    return { error: toErrorData(error) };
  } finally {
    tell({ kind: "end" });
    port.removeAllListeners("message");
    port.unref();
  }
}
