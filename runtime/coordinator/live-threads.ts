import { Worker } from "node:worker_threads";
import { type Clock } from "../core/clock.ts";
import { errorText, fromErrorData, hasCode, QmtlError, toError } from "../core/errors.ts";
import { BoardRow } from "../worker/live/board.ts";
import { type LiveResult } from "../worker/live/live-loop.ts";
import { type LiveOrder, type NodePlace } from "../worker/live/live-order.ts";
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

/** Time in which a thread that was told to stop drains and ends, ms; then it is ended. */
const stopMsMax = 5_000;
/** Time in which a thread that has reported its end is gone, ms. */
const exitMsMax = 1_000;
/** Pause before a restart: none the first time, then growing. */
const pauseMsFirst = 50;
const pauseMsMax = 2_000;
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
}

/** A live run on threads. */
export interface LiveThreads {
  readonly orders: readonly LiveOrder[];
  readonly limits: WatchLimits;
  readonly clock: Clock;
  /** True if a thread that dies can be brought back: its state is kept somewhere. */
  readonly canRestart: boolean;
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
 * A node that dies `crashesMax` times in one partition is quarantined there; a thread that dies as
 * often without a node to blame, though everything it needs can be reached, ends the run.
 *
 * @throws QmtlError what a thread failed with, where `canRestart` is false or it can't be helped.
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
    threads.onCrash({ ...crash, isQuarantined: verdict === "quarantine" });
    if (!threads.canRestart || death.isFinal || verdict === "end") throw death.cause;
    await threads.clock.sleep(deaths.pauseMs, signal).catch(() => undefined);
  }
  return [];
}

/** Why a thread ended before its time. */
class ThreadDeath {
  readonly cause: Error;
  readonly partition: number;
  /** Node to blame; -1 if none. */
  readonly node: number;
  /** True if a new thread would fail the same way: what the user gave is wrong. */
  readonly isFinal: boolean;
  /** True if something outside can't be reached: it is tried again for as long as it takes. */
  readonly isPassing: boolean;

  constructor(cause: Error, row: BoardRow) {
    const code = cause instanceof QmtlError ? cause.code : "WORKER_FAILED";
    this.cause = cause;
    this.partition = row.partition;
    this.node = ofNode.has(code) ? row.culprit : -1;
    this.isPassing = passing.has(code);
    const isCurable = curable.has(code) || (computing.has(code) && this.node >= 0);
    this.isFinal = !isCurable && !this.isPassing && !isSequenceLost(cause);
  }
}

/** Codes of what a node did. */
const computing: ReadonlySet<string> = new Set([
  "COMPUTE_FAILED",
  "OUTPUT_INVALID",
  "LOOKBACK_EXCEEDED",
  "FIELD_UNKNOWN",
  "INPUT_MISSING",
]);

/** Codes of something outside that will be back. */
const passing: ReadonlySet<string> = new Set(["TRANSPORT_UNAVAILABLE", "STORE_UNAVAILABLE"]);

/** Other codes that a restart from the checkpoint can cure. */
const curable: ReadonlySet<string> = new Set([
  "CHECKPOINT_GAP",
  "BATCH_CORRUPT",
  "WORKER_FAILED",
  "WORKER_STALLED",
]);

/** Codes for which the node that ran is to blame. */
const ofNode: ReadonlySet<string> = new Set([...computing, "WORKER_FAILED", "WORKER_STALLED"]);

/** The broker no longer knows what we sent last: a new owner reads back, under a new name. */
function isSequenceLost(error: Error): boolean {
  if (!hasCode(error, "TRANSPORT_REJECTED")) return false;
  const { reason } = error.details;
  return reason === "UNKNOWN_PRODUCER_ID" || reason === "OUT_OF_ORDER_SEQUENCE_NUMBER";
}

/** Runs one thread to its end; undefined if it was stopped before it had a result. */
async function runThread(
  { limits, nameOf }: LiveThreads,
  order: LiveOrder,
  signal: AbortSignal,
): Promise<LiveResult | ThreadDeath | undefined> {
  const row = new BoardRow(order.board, order.thread);
  row.begin();
  const worker = new Worker(new URL("../worker/entry.ts", import.meta.url));
  const send = (message: Order): void => worker.postMessage(message);
  let result: LiveResult | undefined;
  let failed: Error | undefined;
  let deadline: ReturnType<typeof setTimeout> | undefined;
  const end = (error: QmtlError): void => {
    failed ??= error;
    void worker.terminate();
  };
  const stop = (): void => {
    send({ kind: "stop" });
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
    send({ kind: "live", order });
  });
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

/** Deaths of one thread's runs: what to do about the next one. */
class Deaths {
  readonly #limits: WatchLimits;
  readonly #clock: Clock;
  /** Times of deaths, ms, by what is to blame. */
  readonly #recent = new Map<string, number[]>();
  #quarantined: readonly NodePlace[] = [];
  #count = 0;
  #lastMs = Number.NEGATIVE_INFINITY;

  constructor(limits: WatchLimits, clock: Clock) {
    this.#limits = limits;
    this.#clock = clock;
  }

  get quarantined(): readonly NodePlace[] {
    return this.#quarantined;
  }

  /** Pause before the next start; none after a first death. */
  get pauseMs(): number {
    return this.#count < 2 ? 0 : Math.min(pauseMsMax, pauseMsFirst * 2 ** (this.#count - 2));
  }

  add({ node, partition, cause, isPassing }: ThreadDeath): "restart" | "quarantine" | "end" {
    const nowMs = this.#clock.now();
    const { crashWindowMs, crashesMax } = this.#limits;
    this.#count = nowMs - this.#lastMs < crashWindowMs ? this.#count + 1 : 1;
    this.#lastMs = nowMs;
    if (isPassing) return "restart";
    const name = node < 0 ? `${cause.name} ${cause.message}` : `${partition} ${node}`;
    const recent = (this.#recent.get(name) ?? []).filter((ms) => nowMs - ms < crashWindowMs);
    recent.push(nowMs);
    this.#recent.set(name, recent);
    if (recent.length < crashesMax) return "restart";
    if (node < 0) return "end";
    this.#quarantined = [...this.#quarantined, { partition, node }];
    // What comes next is another cause: it is not made to wait for this one.
    this.#count = 0;
    return "quarantine";
  }
}
