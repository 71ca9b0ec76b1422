import { openTransport } from "../../../../../connectors/memory/index.ts";
import { type StrategyClass } from "../../../../../runtime/index.ts";
import { BoardRow } from "../../../../../runtime/worker/live/board.ts";
import { type LiveOrder } from "../../../../../runtime/worker/live/live-order.ts";
import { type Checkpoints } from "../../../../../runtime/worker/live/live-task.ts";
import { FeedPositions } from "../../../../../runtime/worker/live/loop/feed-positions.ts";
import { LoopSends } from "../../../../../runtime/worker/live/loop/loop-sends.ts";
import { openTasks } from "../../../../../runtime/worker/live/loop/open-tasks.ts";
import { Quarantines } from "../../../../../runtime/worker/live/loop/quarantines.ts";
import { DeadLetters } from "../../../../../runtime/worker/live/output/dead-letters.ts";
import { LiveLog, type PlainBar } from "../../../../integrity/live-log.ts";
import { HeldSends } from "../held-sends.ts";
import { liveOrderOf } from "../live-order-of.ts";

/** What of a thread is opened, and how. */
export interface OpenedOptions {
  readonly symbols: readonly string[];
  readonly partitions?: number;
  readonly checkpoints?: (order: LiveOrder) => Checkpoints;
  readonly more?: Partial<LiveOrder>;
  /** What is in the topic "in" before. */
  readonly bars?: readonly PlainBar[];
}

/** The parts of a thread's loop, opened over a log in memory, without the loop. */
export async function openedOf(strategy: StrategyClass, options: OpenedOptions) {
  const { symbols, partitions = 1, bars = [] } = options;
  const signal = AbortSignal.timeout(20_000);
  const transport = await openTransport("memory:", signal);
  const log = new LiveLog(transport, partitions);
  const { order, staged } = await liveOrderOf(strategy, symbols, log, options.more);
  await log.put("in", bars);
  const held = new HeldSends(transport);
  const checkpoints = options.checkpoints?.(order);
  const row = new BoardRow(order.board, 0);
  const positions = new FeedPositions({ order, transport, row });
  const parts = {
    order,
    staged,
    transport: held.transport,
    checkpoints,
    positions,
    quarantines: new Quarantines(order.quarantined),
    deadLetters: new DeadLetters(held.transport, staged.graph),
    row,
    latency: undefined,
    meter: undefined,
    profile: undefined,
    signal,
  };
  const { tasks, forwards } = await openTasks(parts, signal);
  const sends = new LoopSends({ ...parts, tasks, forwards, pace: order.pace });
  /** Fetches once, and computes on it. */
  const turn = async (): Promise<void> => {
    for (const answer of await positions.fetch(signal)) {
      positions.ahead(answer);
      for (const { reader } of positions.readersOf(answer)) reader.consume(answer);
    }
  };
  return { forwards, held, log, order, positions, row, sends, signal, tasks, turn };
}
