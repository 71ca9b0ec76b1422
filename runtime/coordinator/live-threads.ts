import { MessageChannel, Worker } from "node:worker_threads";
import { type CheckpointStore } from "../contract/state-store.ts";
import { type Clock } from "../core/clock.ts";
import { errorText, fromErrorData, hasCode, QmtlError, toError } from "../core/errors.ts";
import { BoardRow } from "../worker/live/board.ts";
import { type LiveOrder } from "../worker/live/live-order.ts";
import { type LiveResult } from "../worker/live/loop/live-loop.ts";
import { type Order, type Report } from "../worker/protocol.ts";
import { Deaths, ThreadDeath, type WatchLimits } from "./deaths.ts";
import { keepState } from "./state-keeper.ts";

/** Time in which a thread that was told to stop drains and ends, ms; then it is ended. */
const stopMsMax = 5_000;
/** Time in which a thread that has reported its end is gone, ms. */
const exitMsMax = 1_000;
/** Looks at a heartbeat per `stallMsMax`. */
const looksPerStall = 10;

/** A thread's death, as it is counted and named. */
export interface Crash {
  readonly thread: number;
  /** Partition that was computed on. */
  readonly partition: number;
  /** Index of the node that ran; -1 if none did. */
  readonly node: number;
  readonly reason: string;
  /** True if this crash put the node into quarantine. */
  readonly isQuarantined: boolean;
  /** End of the quarantine, ms since epoch; undefined without one. */
  readonly untilMs?: number;
}

/** A live run on threads. */
export interface LiveThreads {
  readonly orders: readonly LiveOrder[];
  readonly limits: WatchLimits;
  readonly clock: Clock;
  /** Keeps the state of orders that name no store: it outlives their threads. */
  readonly state: CheckpointStore;
  /** Name of a node by its index. */
  readonly nameOf: (node: number) => string;
  readonly onCrash: (crash: Crash) => void;
}

/**
 * Runs each order on a thread of its own and keeps it running: a thread that throws, exits or
 * stalls is ended and started anew with the same partitions, which it restores from their
 * checkpoints. A partition never moves to another thread, so the others do not notice.
 *
 *   running ──throws, exits──▶ dead ──restart──▶ running
 *      │  └──heartbeat still──▶ ended ──▲
 *      └──recordsMax, abort──▶ done
 *
 * A node that dies `crashesMax` times in one partition is quarantined there for a time, after which
 * the thread brings it back by itself (deaths.ts); a thread that dies as often without a node to
 * blame, though everything it needs can be reached, ends the run.
 *
 * @throws QmtlError what a thread failed with, where it can't be helped.
 */
export async function runLiveThreads(
  threads: LiveThreads,
  signal: AbortSignal,
): Promise<readonly LiveResult[]> {
  const failure = new AbortController();
  const both = AbortSignal.any([signal, failure.signal]);
  const settled = await Promise.allSettled(
    threads.orders.map(async (order) => {
      try {
        return await keepRunning(threads, order, both);
      } catch (error) {
        failure.abort(error);
        throw error;
      }
    }),
  );
  if (failure.signal.aborted) throw failure.signal.reason;
  return settled.flatMap((result) => (result.status === "fulfilled" ? result.value : []));
}

/** Runs an order until it is done; nothing if it was stopped before it could begin. */
async function keepRunning(
  threads: LiveThreads,
  order: LiveOrder,
  signal: AbortSignal,
): Promise<readonly LiveResult[]> {
  const deaths = new Deaths(threads.limits, threads.clock);
  while (!signal.aborted) {
    const death = await runThread(threads, { ...order, quarantined: deaths.quarantined }, signal);
    if (!(death instanceof ThreadDeath)) return death === undefined ? [] : [death];
    // Told to stop, it failed: nothing is restarted any more.
    if (signal.aborted) throw death.cause;
    const verdict = deaths.add(death);
    const { node, partition } = death;
    const crash = { thread: order.thread, partition, node, reason: errorText(death.cause) };
    threads.onCrash(
      verdict.kind === "quarantine"
        ? { ...crash, isQuarantined: true, untilMs: verdict.untilMs }
        : { ...crash, isQuarantined: false },
    );
    if (death.isFinal || verdict.kind === "end") throw death.cause;
    await threads.clock.sleep(deaths.pauseMs, signal).catch(() => undefined);
  }
  return [];
}

/** Runs one thread to its end; undefined if it was stopped before it had a result. */
async function runThread(
  { limits, nameOf, state }: LiveThreads,
  order: LiveOrder,
  signal: AbortSignal,
): Promise<LiveResult | ThreadDeath | undefined> {
  const row = new BoardRow(order.board, order.thread);
  row.begin();
  const worker = new Worker(new URL("../worker/entry.ts", import.meta.url));
  const channel = new MessageChannel();
  keepState(state, channel.port1);
  let result: LiveResult | undefined;
  let failed: Error | undefined;
  let deadline: ReturnType<typeof setTimeout> | undefined;
  const end = (error: QmtlError): void => {
    failed ??= error;
    void worker.terminate();
  };
  const stop = (): void => {
    const word: Order = { kind: "stop" };
    worker.postMessage(word);
    deadline ??= setTimeout(() => end(tooSlow(order.thread)), stopMsMax);
  };
  signal.addEventListener("abort", stop, { once: true });
  const watch = watchBeats(row, limits.stallMsMax, () => {
    const name = nameOf(row.culprit);
    end(stalled(order.thread, name, limits.stallMsMax));
  });
  await new Promise<void>((resolve) => {
    worker.on("message", (report: Report) => {
      if (report.kind === "ended") result = report.result;
      if (report.kind === "failed") failed ??= fromErrorData(report.error);
      // It has closed what it opened; whatever else holds it must not hold the run.
      clearTimeout(deadline);
      deadline = setTimeout(() => void worker.terminate(), exitMsMax);
    });
    worker.on("error", (error) => {
      failed ??= toError(error);
    });
    worker.on("exit", () => resolve());
    const word: Order = { kind: "live", order, state: channel.port2 };
    worker.postMessage(word, [channel.port2]);
  });
  channel.port1.close();
  clearInterval(watch);
  clearTimeout(deadline);
  signal.removeEventListener("abort", stop);
  if (result !== undefined) return result;
  if (signal.aborted && (failed === undefined || hasCode(failed, "ABORTED"))) return undefined;
  return new ThreadDeath(failed ?? goneSilently(order.thread), row);
}

function stalled(thread: number, name: string, ms: number): QmtlError {
  return new QmtlError(
    "WORKER_STALLED",
    `Cannot go on in thread ${thread}: "${name}" has not come back for ${ms} ms, wanted a compute that ends`,
    { node: name, thread },
  );
}

function tooSlow(thread: number): QmtlError {
  return new QmtlError(
    "WORKER_STALLED",
    `Cannot stop thread ${thread} in order: it has not ended within ${stopMsMax} ms, wanted it drained`,
    { thread },
  );
}

function goneSilently(thread: number): QmtlError {
  return new QmtlError(
    "WORKER_FAILED",
    `Cannot go on in thread ${thread}: it ended without a word, wanted a report`,
    { thread },
  );
}

/**
 * Calls `onStall` when one node has been running at each of the looks within `stallMsMax` and no
 * record was run between them. Looks are counted, not ms: a process that was frozen as a whole, or
 * a watcher that came late, is no stall.
 */
function watchBeats(
  row: BoardRow,
  stallMsMax: number,
  onStall: () => void,
): ReturnType<typeof setInterval> {
  let beats = -1;
  let node = -1;
  let looks = 0;
  return setInterval(
    () => {
      const running = Atomics.load(row.heartbeat, 0);
      if (running < 0 || row.beats !== beats || running !== node) looks = 0;
      else looks += 1;
      beats = row.beats;
      node = running;
      if (looks < looksPerStall) return;
      looks = 0;
      onStall();
    },
    Math.max(1, stallMsMax / looksPerStall),
  );
}
