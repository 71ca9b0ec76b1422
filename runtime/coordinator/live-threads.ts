import { Worker } from "node:worker_threads";
import { type Clock } from "../core/clock.ts";
import { errorText, fromErrorData, QmtlError } from "../core/errors.ts";
import { BoardRow } from "../worker/live/board.ts";
import { type LiveResult } from "../worker/live/live-loop.ts";
import { type LiveOrder } from "../worker/live/live-order.ts";
import { type Order, type Report } from "../worker/protocol.ts";

/** How threads are watched and brought back. */
export interface WatchLimits {
  /** A heartbeat unchanged for so long while a node runs ends the thread, ms. */
  readonly stallMsMax: number;
  /** Crashes of one node within `crashWindowMs` from which it is quarantined. */
  readonly crashesMax: number;
  readonly crashWindowMs: number;
}

/** Defaults of `WatchLimits`. */
export const watchDefaults: WatchLimits = {
  stallMsMax: 500,
  crashesMax: 5,
  crashWindowMs: 60_000,
};

/** A thread's death, as it is counted and named. */
export interface Crash {
  readonly thread: number;
  /** Index of the node that ran; -1 if none did. */
  readonly node: number;
  readonly reason: string;
  /** True if this crash put the node into quarantine. */
  readonly isQuarantined: boolean;
}

/** A live run on threads. */
export interface LiveThreads {
  readonly orders: readonly LiveOrder[];
  readonly limits: WatchLimits;
  readonly clock: Clock;
  /** True if a thread that dies can be brought back: its state is kept somewhere. */
  readonly canRestart: boolean;
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
 * @throws QmtlError what a thread failed with, where `canRestart` is false or it can't be helped.
 */
export async function runLiveThreads(
  threads: LiveThreads,
  signal: AbortSignal,
): Promise<readonly LiveResult[]> {
  const failure = new AbortController();
  const both = AbortSignal.any([signal, failure.signal]);
  const quarantine = new Quarantine(threads.limits, threads.clock);
  const runs = threads.orders.map(async (order) => {
    try {
      return await keepRunning(threads, order, quarantine, both);
    } catch (error) {
      failure.abort(error);
      throw error;
    }
  });
  const settled = await Promise.allSettled(runs);
  const failed = settled.find((result) => result.status === "rejected");
  if (failed !== undefined && !signal.aborted) throw failure.signal.reason;
  return settled.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
}

async function keepRunning(
  threads: LiveThreads,
  order: LiveOrder,
  quarantine: Quarantine,
  signal: AbortSignal,
): Promise<LiveResult> {
  for (;;) {
    try {
      const own = { ...order, quarantined: quarantine.nodesOf(order.thread) };
      return await runThread(threads, own, signal);
    } catch (error) {
      if (signal.aborted || !(error instanceof ThreadDeath)) throw error;
      const isQuarantined = quarantine.add(order.thread, error.node);
      const crash = { thread: order.thread, node: error.node, reason: errorText(error.cause) };
      threads.onCrash({ ...crash, isQuarantined });
      if (!threads.canRestart || error.isFinal) throw error.cause;
    }
  }
}

/** Why a thread ended before its time. */
class ThreadDeath extends Error {
  readonly node: number;
  /** True if a new thread would fail the same way: what the user gave is wrong. */
  readonly isFinal: boolean;

  constructor(cause: Error, node: number, isFinal: boolean) {
    super("a worker thread ended before its time", { cause });
    this.node = node;
    this.isFinal = isFinal;
  }
}

/** Codes of a failure that a restart from the checkpoint can cure. */
const curable: ReadonlySet<string> = new Set([
  "COMPUTE_FAILED",
  "OUTPUT_INVALID",
  "LOOKBACK_EXCEEDED",
  "FIELD_UNKNOWN",
  "INPUT_MISSING",
  "TRANSPORT_UNAVAILABLE",
  "STORE_UNAVAILABLE",
  "CHECKPOINT_GAP",
  "BATCH_CORRUPT",
  "WORKER_FAILED",
  "WORKER_STALLED",
]);

async function runThread(
  { limits }: LiveThreads,
  order: LiveOrder,
  signal: AbortSignal,
): Promise<LiveResult> {
  signal.throwIfAborted();
  const row = new BoardRow(order.board, order.thread);
  row.heartbeat[0] = -1;
  const worker = new Worker(new URL("../worker/entry.ts", import.meta.url));
  const send = (message: Order): void => worker.postMessage(message);
  let result: LiveResult | undefined;
  let failed: Error | undefined;
  const onReport = (report: Report): void => {
    if (report.kind === "ended") result = report.result;
    if (report.kind === "failed") failed ??= fromErrorData(report.error);
  };
  const stop = (): void => send({ kind: "stop" });
  signal.addEventListener("abort", stop, { once: true });
  const watch = watchBeats(row, limits.stallMsMax, () => {
    failed ??= new QmtlError(
      "WORKER_STALLED",
      `Cannot go on in thread ${order.thread}: node ${row.heartbeat[0] ?? -1} has not come back for ${limits.stallMsMax} ms, wanted a compute that ends`,
      { node: row.heartbeat[0] ?? -1 },
    );
    void worker.terminate();
  });
  try {
    await new Promise<void>((resolve) => {
      worker.on("message", onReport);
      worker.on("error", (error) => {
        failed ??= error instanceof Error ? error : new Error(errorText(error));
      });
      worker.on("exit", () => resolve());
      send({ kind: "live", order });
    });
  } finally {
    clearInterval(watch);
    signal.removeEventListener("abort", stop);
    await worker.terminate();
  }
  if (result !== undefined) return result;
  failed ??= new QmtlError(
    "WORKER_FAILED",
    `Cannot go on in thread ${order.thread}: it ended without a word`,
  );
  const code = failed instanceof QmtlError ? failed.code : "WORKER_FAILED";
  throw new ThreadDeath(failed, row.heartbeat[0] ?? -1, !curable.has(code));
}

/** Calls `onStall` when a node is named and neither it nor the beat has changed for `stallMsMax`. */
function watchBeats(
  row: BoardRow,
  stallMsMax: number,
  onStall: () => void,
): ReturnType<typeof setInterval> {
  let beats = -1;
  let node = -1;
  let sinceMs = performance.now();
  return setInterval(
    () => {
      const nowMs = performance.now();
      const isIdle = Atomics.load(row.heartbeat, 0) < 0;
      if (isIdle || row.beats !== beats || Atomics.load(row.heartbeat, 0) !== node) {
        beats = row.beats;
        node = Atomics.load(row.heartbeat, 0);
        sinceMs = nowMs;
      } else if (nowMs - sinceMs > stallMsMax) {
        sinceMs = nowMs;
        onStall();
      }
    },
    Math.max(10, stallMsMax / 10),
  );
}

/** Which nodes of which thread have crashed too often. */
class Quarantine {
  readonly #limits: WatchLimits;
  readonly #clock: Clock;
  readonly #crashes = new Map<string, number[]>();
  readonly #nodes = new Map<number, Set<number>>();

  constructor(limits: WatchLimits, clock: Clock) {
    this.#limits = limits;
    this.#clock = clock;
  }

  /** Notes a crash; true if it puts the node into quarantine. */
  add(thread: number, node: number): boolean {
    if (node < 0) return false;
    const nowMs = this.#clock.now();
    const name = `${thread} ${node}`;
    const recent = (this.#crashes.get(name) ?? []).filter(
      (ms) => nowMs - ms < this.#limits.crashWindowMs,
    );
    recent.push(nowMs);
    this.#crashes.set(name, recent);
    if (recent.length < this.#limits.crashesMax) return false;
    const nodes = this.#nodes.get(thread) ?? new Set();
    nodes.add(node);
    this.#nodes.set(thread, nodes);
    return true;
  }

  nodesOf(thread: number): readonly number[] {
    return [...(this.#nodes.get(thread) ?? [])];
  }
}
