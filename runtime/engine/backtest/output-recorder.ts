import { type HistoryStore, type TimeRange } from "../../contract/history-store.ts";
import { type Graph } from "../../graph/graph.ts";
import { type NodeRows } from "../../worker/protocol.ts";
import { seriesOf } from "../../worker/replay/replay.ts";
import { type NodeReport } from "./report.ts";

interface Recorded {
  outputs: number;
  firstTs: number;
  last: NodeReport["last"];
}

/**
 * Stores node outputs under their own IDs and remembers what the report says of them.
 *
 *   Coverage of a node reaches from its first output of the run to the end of the range: what has
 *   no output in there has none, and bars before it wait for an earlier start.
 */
export class OutputRecorder {
  readonly #graph: Graph;
  readonly #store: HistoryStore;
  readonly #recorded = new Map<string, Recorded>();

  constructor(graph: Graph, store: HistoryStore) {
    this.#graph = graph;
    this.#store = store;
  }

  /** Stores rows of nodes; resolves once they are durable. */
  async take(outputs: readonly NodeRows[], signal: AbortSignal): Promise<void> {
    for (const { node, key, rows } of outputs) {
      const series = seriesOf(this.#graph, node, key);
      await this.#store.persist(series, { rows, have: [], empty: [] }, signal);
      const name = `${node} ${key}`;
      const known = this.#recorded.get(name);
      const lastRow = rows.count - 1;
      const fields = Object.keys(series.schema);
      const values: Record<string, number> = {};
      for (const [i, field] of fields.entries())
        values[field] = rows.columns[i]?.[lastRow] ?? Number.NaN;
      const last = { ts: rows.ts[lastRow] ?? Number.NaN, values };
      if (known === undefined) {
        this.#recorded.set(name, {
          outputs: rows.count,
          firstTs: rows.ts[0] ?? Number.NaN,
          last,
        });
      } else {
        known.outputs += rows.count;
        known.last = last;
      }
    }
  }

  /** Settles the coverage of every node that had outputs. */
  async finish(range: TimeRange, signal: AbortSignal): Promise<void> {
    for (const node of this.#graph.nodes) {
      if (node.kind === "stream") continue;
      const end = node.interval.floor(range.end);
      for (const { key } of node.keys) {
        const start = this.#recorded.get(`${node.index} ${key}`)?.firstTs;
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
          const recorded = this.#recorded.get(`${node.index} ${key}`);
          return {
            name: node.name,
            key,
            nodeId,
            definitionId: node.definitionId,
            outputs: recorded?.outputs ?? 0,
            last: recorded?.last ?? null,
          };
        }),
      );
  }
}

function noRows(node: Graph["nodes"][number]): NodeRows["rows"] {
  const none = new Float64Array(0);
  return { count: 0, ts: none, seq: none, columns: Object.keys(node.schema).map(() => none) };
}
