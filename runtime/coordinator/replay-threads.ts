import { Worker } from "node:worker_threads";
import { reasonOf } from "../core/clock.ts";
import { errorText, fromErrorData, QmtlError } from "../core/errors.ts";
import { type Component, type Root } from "../graph/components.ts";
import {
  type NodeRows,
  type Order,
  type ReplayOrder,
  type Report,
  type TaskCounts,
} from "../worker/protocol.ts";

/** A replay dealt to threads: one order per thread, and what is done with what comes back. */
export interface ReplayThreads {
  readonly orders: readonly ReplayOrder[];
  /** Stores outputs; the thread that sent them waits when too many are under way. */
  readonly onOutputs: (outputs: readonly NodeRows[]) => Promise<void>;
  readonly onRows: (root: Root, rows: number) => void;
}

/**
 * Runs each order on a thread of its own: a static map, a task lives on one thread for its life.
 * The first failure stops all of them; every thread has ended when this settles.
 *
 * @throws QmtlError what a worker failed with, or WORKER_FAILED if one died without a word.
 */
export async function runReplayThreads(
  threads: ReplayThreads,
  signal: AbortSignal,
): Promise<readonly TaskCounts[]> {
  const failure = new AbortController();
  const both = AbortSignal.any([signal, failure.signal]);
  const runs = threads.orders.map(async (order) => {
    try {
      return await runThread(order, threads, both);
    } catch (error) {
      failure.abort(error);
      throw error;
    }
  });
  const settled = await Promise.allSettled(runs);
  if (failure.signal.aborted) throw reasonOf(failure.signal);
  return settled.map((result) => {
    if (result.status === "rejected") throw result.reason;
    return result.value;
  });
}

async function runThread(
  order: ReplayOrder,
  threads: ReplayThreads,
  signal: AbortSignal,
): Promise<TaskCounts> {
  signal.throwIfAborted();
  const worker = new Worker(new URL("../worker/entry.ts", import.meta.url));
  const send = (message: Order): void => worker.postMessage(message);
  let counts: TaskCounts | undefined;
  let failed: Error | undefined;
  let storing = Promise.resolve();
  const stop = (): void => send({ kind: "stop" });
  signal.addEventListener("abort", stop, { once: true });
  const onReport = (report: Report): void => {
    switch (report.kind) {
      case "rows":
        storing = storing
          .then(async () => await threads.onOutputs(report.outputs))
          .then(() => send({ kind: "taken", count: 1 }))
          .catch((error: unknown) => {
            failed ??= error instanceof Error ? error : new Error(errorText(error));
            stop();
          });
        return;
      case "progress":
        threads.onRows(report.root, report.rows);
        return;
      case "done":
        counts = report.counts;
        return;
      case "ended":
        return;
      case "failed":
        failed ??= fromErrorData(report.error);
    }
  };
  try {
    await new Promise<void>((resolve) => {
      worker.on("message", onReport);
      worker.on("error", (error) => {
        failed ??= error instanceof Error ? error : new Error(errorText(error));
      });
      worker.on("exit", () => resolve());
      send({ kind: "replay", order });
    });
    await storing;
  } finally {
    signal.removeEventListener("abort", stop);
    await worker.terminate();
  }
  if (failed !== undefined) throw failed;
  if (counts === undefined) {
    throw new QmtlError(
      "WORKER_FAILED",
      "Cannot finish the replay: a worker thread ended without a word, wanted its counts",
    );
  }
  return counts;
}

/** One order per share of the components, each with its own ranges and task `name/share`. */
export function ordersFor(
  base: Omit<ReplayOrder, "components" | "ranges" | "task">,
  name: string,
  shares: readonly (readonly Component[])[],
  rangeOf: (root: Root) => ReplayOrder["ranges"][number],
): readonly ReplayOrder[] {
  return shares.map((components, share) => ({
    ...base,
    task: `${name}/${share}`,
    components,
    ranges: components.flatMap(({ roots }) => roots.map(rangeOf)),
  }));
}
