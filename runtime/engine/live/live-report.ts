import { type Graph } from "../../graph/graph.ts";
import { BoardRow, boardSum } from "../../worker/live/board.ts";
import { type LiveOrder } from "../../worker/live/live-order.ts";
import { type LiveResult } from "../../worker/live/loop/live-loop.ts";
import { type Profile, phaseSeconds, profileOf } from "../profile.ts";

/** What a live run came to. */
export interface LiveReport {
  readonly strategy: string;
  readonly mode: "live";
  readonly deployment: string;
  /** Records taken; one that a thread took again after a crash counts once. */
  readonly records: number;
  /** Records that nodes emitted, published or not; what was computed again counts again. */
  readonly outputs: number;
  /** From just before the first fetch to the last record that had run through the plan. */
  readonly seconds: number;
  /** The same from the first record on. */
  readonly secondsFromFirst: number;
  /** Latency percentiles, ms; NaN where none was measured. */
  readonly p50: number;
  readonly p99: number;
  readonly slowPath: number;
  readonly deadLetters: number;
  readonly checkpoints: number;
  /** Positions that were gone from a topic and moved to where `offsetReset` says. */
  readonly offsetResets: number;
  /** Deaths of threads that were brought back. */
  readonly crashes: number;
  /** Nodes that crashed too often, `name/partition`: they emitted nothing there at the end. */
  readonly quarantined: readonly string[];
  /** Quarantines that were over before the end. */
  readonly released: number;
  readonly threads: number;
  /** Where the threads' time went: waiting for records, running the plan, sending and saving. */
  readonly fetchSeconds: number;
  readonly computeSeconds: number;
  readonly flushSeconds: number;
  /** Where time went node by node; absent if it was not asked for. */
  readonly profile?: Profile;
}

/** What the threads themselves have to report: all but whose run it was, and what befell them. */
export type LiveWork = Omit<
  LiveReport,
  "strategy" | "mode" | "deployment" | "crashes" | "quarantined" | "released"
>;

/** Adds up what the threads of `orders` have done, from the memory that they share. */
export function workOf(
  graph: Graph,
  orders: readonly LiveOrder[],
  results: readonly LiveResult[],
): LiveWork {
  const rows = orders.map(({ board, thread }) => new BoardRow(board, thread));
  const profile = profileOfOrders(graph, orders, rows);
  const began = Math.min(...rows.map((row) => row.get("firstFetchMs")));
  const active = rows.filter((row) => row.get("records") > 0);
  const first = Math.min(...active.map((row) => row.get("firstRecordMs")));
  const last = Math.max(...active.map((row) => row.get("lastRecordMs")));
  const latencies = mergeSorted(results.map(({ latencies: own }) => own));
  return {
    records: boardSum(rows, "records"),
    outputs: boardSum(rows, "outputs"),
    seconds: active.length === 0 ? 0 : (last - began) / 1_000,
    secondsFromFirst: active.length === 0 ? 0 : (last - first) / 1_000,
    p50: percentile(latencies, 0.5),
    p99: percentile(latencies, 0.99),
    slowPath: boardSum(rows, "slowPath"),
    deadLetters: boardSum(rows, "deadLetters"),
    checkpoints: boardSum(rows, "checkpoints"),
    offsetResets: boardSum(rows, "offsetResets"),
    threads: rows.length,
    fetchSeconds: boardSum(rows, "fetchMs") / 1_000,
    computeSeconds: boardSum(rows, "computeMs") / 1_000,
    flushSeconds: boardSum(rows, "flushMs") / 1_000,
    ...(profile === undefined ? {} : { profile }),
  };
}

/** The run's profile, if one was asked for. */
function profileOfOrders(
  graph: Graph,
  orders: readonly LiveOrder[],
  rows: readonly BoardRow[],
): Profile | undefined {
  const memories = orders.flatMap(({ profile }) => (profile === undefined ? [] : [profile]));
  if (memories.length === 0) return undefined;
  const seconds = (field: "fetchMs" | "computeMs" | "flushMs"): number =>
    boardSum(rows, field) / 1_000;
  const seal = phaseSeconds(memories, "sealMs");
  const network = seconds("fetchMs") + seconds("flushMs") - seal;
  const encode = phaseSeconds(memories, "encodeMs") + seal;
  return profileOf(graph, memories, {
    run: seconds("computeMs") + seal,
    encode,
    others: { network },
  });
}

/** All values of `parts`, in rising order. */
function mergeSorted(parts: readonly Float64Array[]): Float64Array {
  const all = new Float64Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all.toSorted();
}

function percentile(sorted: Float64Array, share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
