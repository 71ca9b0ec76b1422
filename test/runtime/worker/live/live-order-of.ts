import { paceDefaults } from "../../../../runtime/engine/live/live-limits.ts";
import { topicsOf } from "../../../../runtime/engine/live/plan/topics.ts";
import { stagedOf } from "../../../../runtime/graph/stages.ts";
import { idsOf, prepare } from "../../../../runtime/graph/strategy.ts";
import { type StrategyClass } from "../../../../runtime/index.ts";
import { newBoardMemory } from "../../../../runtime/worker/live/board.ts";
import { type LiveOrder } from "../../../../runtime/worker/live/live-order.ts";
import { type LiveLog } from "../../../integrity/live-log.ts";

/** The order of the one thread that runs `strategy` over a log, all of whose topics are made. */
export async function liveOrderOf(
  strategy: StrategyClass,
  symbols: readonly string[],
  log: LiveLog,
  more: Partial<LiveOrder> = {},
) {
  const flags = { symbols, interval: "1m" } as const;
  const { graph } = prepare(strategy, flags);
  const staged = stagedOf(graph);
  const { read, outputs, forwarded } = topicsOf(staged);
  const inputs = [...read, ...forwarded];
  for (const { topic } of [...inputs, ...outputs]) await log.make(topic);
  const order: LiveOrder = {
    strategy: { module: "", exportName: "" },
    flags,
    ids: idsOf(graph),
    deployment: "test",
    run: "1",
    transport: { module: "", export: "", url: "" },
    state: undefined,
    inputs,
    outputs,
    partitions: Array.from({ length: log.partitions }, (_, partition) => partition),
    offsetReset: "earliest",
    pace: { ...paceDefaults, checkpointMs: 1 },
    recordsMax: undefined,
    latency: undefined,
    quarantined: [],
    isPoisoning: false,
    thread: 0,
    board: newBoardMemory(1),
    ...more,
  };
  return { order, graph, staged };
}
