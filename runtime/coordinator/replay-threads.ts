import { MessageChannel } from "node:worker_threads";
import { Piscina } from "piscina";
import { reasonOf } from "../core/clock.ts";
import { errorText, fromErrorData, QmtlError, toError } from "../core/errors.ts";
import { type Component, type Root } from "../graph/components.ts";
import { type NodeRows, type ReplayOrder, type TaskCounts } from "../worker/protocol.ts";
import {
  type ReplayEnd,
  type ReplayJob,
  type ReplayNews,
  type ReplayWord,
} from "../worker/replay/replay-job.ts";

/** A replay dealt to threads: one order per thread, and what is done with what comes back. */
export interface ReplayThreads {
  readonly orders: readonly ReplayOrder[];
  /** Stores outputs; the thread that sent them waits when too many are under way. */
  readonly onOutputs: (outputs: readonly NodeRows[]) => Promise<void>;
  readonly onRows: (root: Root, rows: number) => void;
  readonly onNote: (text: string) => void;
}

/** Time in which a thread that was told to stop ends by itself, ms. */
const stopMsMax = 2_000;

/**
 * Runs the orders as finite jobs on a pool with a thread for each. The first failure stops all of
 * them; every thread has ended when this settles.
 *
 * @throws QmtlError what a job failed with, or WORKER_FAILED if its thread died without a word.
 */
export async function runReplayThreads(
  threads: ReplayThreads,
  signal: AbortSignal,
): Promise<readonly TaskCounts[]> {
  const count = threads.orders.length;
  const pool = new Piscina<ReplayJob, ReplayEnd>({
    filename: new URL("../worker/replay/replay-job.ts", import.meta.url).href,
    name: "runReplayJob",
    minThreads: count,
    maxThreads: count,
    // A job has ports and sockets of its own: its thread must not sleep between tasks.
    atomics: "disabled",
  });
  const failure = new AbortController();
  const both = AbortSignal.any([signal, failure.signal]);
  try {
    const runs = threads.orders.map(async (order) => {
      try {
        return await runJob(pool, order, threads, both);
      } catch (error) {
        failure.abort(error);
        throw error;
      }
    });
    const settled = await Promise.allSettled(runs);
    if (failure.signal.aborted) throw reasonOf(failure.signal);
    return settled.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
  } finally {
    await pool.destroy();
  }
}

async function runJob(
  pool: Piscina<ReplayJob, ReplayEnd>,
  order: ReplayOrder,
  threads: ReplayThreads,
  signal: AbortSignal,
): Promise<TaskCounts> {
  signal.throwIfAborted();
  const { port1: port, port2 } = new MessageChannel();
  const tell = (word: ReplayWord): void => port.postMessage(word);
  const kill = new AbortController();
  let killing: ReturnType<typeof setTimeout> | undefined;
  const stop = (): void => {
    tell({ kind: "stop" });
    killing ??= setTimeout(() => kill.abort(), stopMsMax);
  };
  let failed: Error | undefined;
  let storing = Promise.resolve();
  const ended = Promise.withResolvers<void>();
  port.on("message", (news: ReplayNews) => {
    if (news.kind === "end") {
      ended.resolve();
      return;
    }
    if (news.kind === "progress") {
      threads.onRows(news.root, news.rows);
      return;
    }
    if (news.kind === "note") {
      threads.onNote(news.text);
      return;
    }
    storing = storing
      .then(async () => await threads.onOutputs(news.outputs))
      .then(() => tell({ kind: "taken" }))
      .catch((error: unknown) => {
        failed ??= toError(error);
        stop();
      });
  });
  signal.addEventListener("abort", stop, { once: true });
  try {
    const end = await pool.run(
      { order, port: port2 },
      // The pool's type of this list is inferred from Node's `postMessage`, which Bun types otherwise.
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- as said above
      { transferList: [port2] as never, signal: kill.signal },
    );
    // The pool's answer may overtake what the job sent over its port before.
    await ended.promise;
    await storing;
    if (failed !== undefined) throw failed;
    if ("error" in end) throw fromErrorData(end.error);
    return end.counts;
  } catch (error) {
    if (failed !== undefined) throw failed;
    const isOwn = error instanceof QmtlError && error.code !== "ABORTED";
    if (signal.aborted && !isOwn) throw reasonOf(signal);
    if (error instanceof QmtlError) throw error;
    throw new QmtlError(
      "WORKER_FAILED",
      `Cannot finish the replay: a worker thread ended before its time: ${errorText(error)}`,
      {},
      error,
    );
  } finally {
    clearTimeout(killing);
    signal.removeEventListener("abort", stop);
    port.close();
  }
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
