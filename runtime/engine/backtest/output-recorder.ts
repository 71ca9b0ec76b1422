import { type HistoryStore, type TimeRange } from "../../contract/history-store.ts";
import { type Graph } from "../../graph/graph.ts";
import { type NodeRows } from "../../worker/protocol.ts";
import { type NodeTally } from "../../worker/replay/output-tally.ts";
import { seriesOf } from "../../worker/replay/replay.ts";
import { type NodeReport } from "./report.ts";

/**
 * Stores node outputs under their own IDs and settles what is covered.
 *
 *   Coverage of a node reaches from its first output of the run to the end of the range: what has
 *   no output in there has none, and bars before it wait for an earlier start.
 */
export class OutputRecorder {
  readonly #graph: Graph;
  readonly #store: HistoryStore;
  readonly #tallies = new Map<string, NodeTally>();

  constructor(graph: Graph, store: HistoryStore) {
    this.#graph = graph;
    this.#store = store;
  }

  /** Stores rows of nodes; resolves once they are durable. */
  async take(outputs: readonly NodeRows[], signal: AbortSignal): Promise<void> {
    for (const { node, key, rows } of outputs) {
      const series = seriesOf(this.#graph, node, key);
      await this.#store.persist(series, { rows, have: [], empty: [] }, signal);
    }
  }

  /** Settles the coverage of every node that had outputs. */
  async finish(
    tallies: readonly NodeTally[],
    range: TimeRange,
    signal: AbortSignal,
  ): Promise<void> {
    for (const tally of tallies) this.#tallies.set(`${tally.node} ${tally.key}`, tally);
    for (const node of this.#graph.nodes) {
      if (node.kind === "stream") continue;
      const end = node.interval.floor(range.end);
      for (const { key } of node.keys) {
        const start = this.#tallies.get(`${node.index} ${key}`)?.firstTs;
        if (start === undefined || start >= end) continue;
        const page = { rows: noRows(node), have: [{ start, end }], empty: [] };
        await this.#store.persist(seriesOf(this.#graph, node.index, key), page, signal);
      }
    }
  }

  /** One entry per node and key, in graph order. */
  reports(): readonly NodeReport[] {
    return this.#graph.nodes
      .filter(({ kind }) => kind !== "stream")
      .flatMap((node) =>
        node.keys.map(({ key, nodeId }) => {
          const tally = this.#tallies.get(`${node.index} ${key}`);
          return {
            name: node.name,
            key,
            nodeId,
            definitionId: node.definitionId,
            interval: node.interval.name,
            outputs: tally?.outputs ?? 0,
            last: tally === undefined ? null : lastOf(node, tally),
          };
        }),
      );
  }
}

/** The newest output by field name. */
function lastOf(node: Graph["nodes"][number], tally: NodeTally): NodeReport["last"] {
  const values: Record<string, number> = {};
  for (const [i, field] of Object.keys(node.schema).entries()) {
    values[field] = tally.lastValues[i] ?? Number.NaN;
  }
  return { ts: tally.lastTs, values };
}

function noRows(node: Graph["nodes"][number]): NodeRows["rows"] {
  const none = new Float64Array(0);
  return { count: 0, ts: none, seq: none, columns: Object.keys(node.schema).map(() => none) };
}
