import { type Clock } from "../core/clock.ts";
import { hasCode, QmtlError } from "../core/errors.ts";
import { type BoardRow } from "../worker/live/board.ts";
import { type Quarantine } from "../worker/live/live-order.ts";

/** How threads are watched and brought back. */
export interface WatchLimits {
  /** A heartbeat unchanged for so long while a node runs ends the thread, ms. */
  readonly stallMsMax: number;
  /** Crashes of one node within `crashWindowMs` from which it is quarantined. */
  readonly crashesMax: number;
  readonly crashWindowMs: number;
  /** How long a node is quarantined, ms; doubled if it crashes soon after it was released. */
  readonly quarantineMs: number;
  /** The longest quarantine, ms. */
  readonly quarantineMsMax: number;
}

/** Defaults of `WatchLimits`. */
export const watchDefaults: WatchLimits = {
  stallMsMax: 500,
  crashesMax: 5,
  crashWindowMs: 60_000,
  quarantineMs: 60_000,
  quarantineMsMax: 3_600_000,
};

/** Pause before a restart: none the first time, then growing. */
const pauseMsFirst = 50;
const pauseMsMax = 2_000;

/** What becomes of a thread that died: started anew, without a node for a time, or not at all. */
export type Verdict =
  | { readonly kind: "restart" }
  | { readonly kind: "quarantine"; readonly untilMs: number }
  | { readonly kind: "end" };

/**
 * Deaths of one thread's runs: what to do about the next one.
 *
 *   runs ──`crashesMax` crashes within `crashWindowMs`──▶ quarantined ──`quarantineMs`──▶ on trial
 *     ▲                                                        ▲                             │
 *     │                                                        └── crash: for twice as long ─┤
 *     └───────────── no crash for as long as it was quarantined, `crashWindowMs` at least ───┘
 */
export class Deaths {
  readonly #limits: WatchLimits;
  readonly #clock: Clock;
  /** Times of deaths, ms, by what is to blame. */
  readonly #recent = new Map<string, number[]>();
  /** The last quarantine of a node in a partition, over or not. */
  readonly #terms = new Map<string, Term>();
  #count = 0;
  #lastMs = Number.NEGATIVE_INFINITY;

  constructor(limits: WatchLimits, clock: Clock) {
    this.#limits = limits;
    this.#clock = clock;
  }

  /** Nodes that are not to run now, and until when. */
  get quarantined(): readonly Quarantine[] {
    const nowMs = this.#clock.now();
    return [...this.#terms.values()]
      .map(({ place }) => place)
      .filter(({ untilMs }) => untilMs > nowMs);
  }

  /** Pause before the next start; none after a first death. */
  get pauseMs(): number {
    return this.#count < 2 ? 0 : Math.min(pauseMsMax, pauseMsFirst * 2 ** (this.#count - 2));
  }

  add({ node, partition, cause, isPassing }: ThreadDeath): Verdict {
    const nowMs = this.#clock.now();
    const { crashWindowMs, crashesMax } = this.#limits;
    this.#count = nowMs - this.#lastMs < crashWindowMs ? this.#count + 1 : 1;
    this.#lastMs = nowMs;
    if (isPassing) return { kind: "restart" };
    const name = node < 0 ? `${cause.name} ${cause.message}` : `${partition} ${node}`;
    const recent = (this.#recent.get(name) ?? []).filter((ms) => nowMs - ms < crashWindowMs);
    recent.push(nowMs);
    this.#recent.set(name, recent);
    const term = this.#terms.get(name);
    const isOnTrial = term !== undefined && nowMs < term.trialEndMs;
    if (recent.length < crashesMax && !isOnTrial) return { kind: "restart" };
    if (node < 0) return { kind: "end" };
    const { quarantineMs, quarantineMsMax } = this.#limits;
    const ms = Math.min(quarantineMsMax, isOnTrial ? 2 * term.ms : quarantineMs);
    const untilMs = nowMs + ms;
    const trialEndMs = untilMs + Math.max(ms, crashWindowMs);
    this.#terms.set(name, { place: { partition, node, untilMs }, ms, trialEndMs });
    this.#recent.delete(name);
    // What comes next is another cause: it is not made to wait for this one.
    this.#count = 0;
    return { kind: "quarantine", untilMs };
  }
}

interface Term {
  readonly place: Quarantine;
  readonly ms: number;
  /** Until then one crash is enough. */
  readonly trialEndMs: number;
}

/** Why a thread ended before its time. */
export class ThreadDeath {
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
