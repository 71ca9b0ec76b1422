import { type TimeRange } from "../../contract/history-store.ts";
import {
  type BacktestReport,
  type EquityReport,
  type NodeReport,
  type StreamReport,
} from "../backtest/report.ts";

/** `[from, to]`, ms since epoch, `to` exclusive. */
type Pair = readonly [number, number];

/**
 * A report as one JSON object, for programs: times in ms, ranges as `[from, to]`, NaN as null.
 * What is named here stays; more may be added.
 */
export function reportJson(report: BacktestReport): string {
  const { streams, nodes, records, recordsPerSecond, replaySeconds, ...run } = report;
  return JSON.stringify(
    {
      strategy: run.strategy,
      mode: run.mode,
      exchange: run.exchange,
      simulated: run.simulated,
      history: run.history,
      start: run.start,
      end: run.end,
      streams: streams.map(streamJson),
      nodes: nodes.map(nodeJson),
      records,
      seconds: replaySeconds,
      recordsPerSecond,
      threads: run.threads,
      refused: run.refused,
      late: run.late,
      notes: run.notes,
      equity: run.equity?.map(equityJson),
      profile: run.profile,
    },
    null,
    2,
  );
}

function streamJson(stream: StreamReport): object {
  return {
    nodeId: stream.nodeId,
    definitionId: stream.definitionId,
    symbol: stream.key,
    interval: stream.interval,
    rows: stream.rows,
    fetched: stream.fetched,
    requests: stream.requests,
    missing: stream.missing.map(pairOf),
    confirmedEmpty: stream.gaps.map(pairOf),
  };
}

function nodeJson(node: NodeReport): object {
  return {
    nodeId: node.nodeId,
    definitionId: node.definitionId,
    name: node.name,
    symbol: node.key,
    outputs: node.outputs,
    last: node.last,
  };
}

function equityJson({ key, ...equity }: EquityReport): object {
  return { ...equity, symbol: key };
}

function pairOf({ start, end }: TimeRange): Pair {
  return [start, end];
}
