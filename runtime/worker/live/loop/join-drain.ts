import { type FetchedBytes } from "../../../contract/transport.ts";
import { type LivePartition } from "../live-task.ts";
import { type StageGate, stageDone } from "../repartition/stage-gate.ts";
import { type Feed, type FeedPositions } from "./feed-positions.ts";

/** A task, as far as it is to be drained. */
export interface Draining<Own> {
  /** Repartitions before it. */
  readonly depth: number;
  readonly feeds: readonly Own[];
}

/** What the last records of a run go through. */
export interface JoinDrain<Own extends Feed = LivePartition> {
  readonly tasks: readonly Draining<Own>[];
  /** Resolves when all that was forwarded is acknowledged. */
  readonly forwards: { idle(): Promise<void> };
  readonly gate: Pick<StageGate, "pass">;
  readonly positions: Pick<FeedPositions<Own>, "endsOf" | "fetchAgain">;
  /** Computes on answers and sends what came of it. */
  readonly turn: (answers: readonly FetchedBytes[]) => Promise<void>;
}

/**
 * Takes the last records of a run through the joins, depth by depth.
 *
 *   V6  No thread forwards a record before every thread's tasks have their positions in the
 *       repartition topics; and a run that ends by `recordsMax` ends behind its last join.
 *
 * Everything that goes to a depth is acknowledged when the gate opens, so a thread that dies here
 * leaves nothing that the others would have to wait for.
 */
export async function drainJoins<Own extends Feed>(
  drain: JoinDrain<Own>,
  depths: number,
  signal: AbortSignal,
): Promise<void> {
  for (let depth = 1; depth <= depths; depth += 1) {
    await drain.forwards.idle();
    await drain.gate.pass(stageDone.opened + depth, signal);
    await drainDepth(drain, depth, signal);
  }
}

/** Takes what lies in the repartition topics that lead to `depth`; no more comes into them. */
async function drainDepth<Own extends Feed>(
  { tasks, positions, turn }: JoinDrain<Own>,
  depth: number,
  signal: AbortSignal,
): Promise<void> {
  const own = tasks.filter((task) => task.depth === depth).flatMap(({ feeds }) => feeds);
  const ends = await Promise.all(own.map(async (feed) => await positions.endsOf(feed, signal)));
  for (;;) {
    const left = own.filter(({ reader }, i) => reader.nextOffset < ends[i]!.end);
    if (left.length === 0) return;
    await turn(await positions.fetchAgain(left, signal));
  }
}
