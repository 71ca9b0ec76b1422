import { type HistoryStore } from "../../contract/history-store.ts";
import { type Interval } from "../../core/interval.ts";
import { type Graph, type GraphNode, returnsTag } from "../../graph/graph.ts";
import { type NodeTally } from "../../worker/replay/output-tally.ts";
import { seriesOf } from "../../worker/replay/replay.ts";
import { type EquityReport } from "./report.ts";

/** Points of an equity line, at most; an even number, since every other one is dropped. */
const linePointsMax = 256;
const yearMs = 365 * 86_400_000;

/** What a run has put out, and where it lies. */
export interface RunOutputs {
  readonly graph: Graph;
  readonly store: HistoryStore;
  readonly tallies: readonly NodeTally[];
}

/**
 * The equity of every node that gives returns, key by key; undefined if there is none.
 *
 * It is read back from the store once the replay is through, not summed up on the way: a replay that
 * went on from a checkpoint has put out a part only. Rows that another run stored before the first
 * output of this one or after its last are left out, so that a range has one equity.
 */
export async function equityOf(
  run: RunOutputs,
  signal: AbortSignal,
): Promise<readonly EquityReport[] | undefined> {
  const nodes = run.graph.nodes.filter(givesReturns);
  if (nodes.length === 0) return undefined;
  const reports: EquityReport[] = [];
  for (const node of nodes) {
    for (const { key, nodeId } of node.keys) {
      const { name, definitionId } = node;
      const equity = await compound(run, node, key, signal);
      reports.push({ name, key, nodeId, definitionId, ...equity.summary() });
    }
  }
  return reports;
}

function givesReturns({ kind, tags, schema }: GraphNode): boolean {
  return kind !== "stream" && tags.includes(returnsTag) && Object.hasOwn(schema, "ret");
}

async function compound(
  { graph, store, tallies }: RunOutputs,
  node: GraphNode,
  key: string,
  signal: AbortSignal,
): Promise<Equity> {
  const equity = new Equity(node.interval);
  const tally = tallies.find((own) => own.node === node.index && own.key === key);
  if (tally === undefined) return equity;
  const fields = Object.keys(node.schema);
  const { cost = 0 } = node.params;
  const range = { start: tally.firstTs, end: tally.lastTs + 1 };
  for await (const batch of store.fetch(seriesOf(graph, node.index, key), range, signal)) {
    const columnOf = (field: string): Float64Array =>
      batch.columns[fields.indexOf(field)] ?? new Float64Array(batch.count);
    const [returns, traded, held] = [columnOf("ret"), columnOf("traded"), columnOf("held")];
    for (let i = 0; i < batch.count; i += 1) {
      if (batch.ts[i] === tally.firstTs) equity.enter(held[i] ?? 0, Number(cost));
      equity.add(batch.ts[i] ?? 0, returns[i] ?? 0, traded[i] ?? 0);
    }
  }
  return equity;
}

/**
 * Returns compounded bar by bar, in constant memory.
 *
 *   E1  The equity is 1 before the first bar and never below 0: who has lost all has nothing left to
 *       lose or win.
 *   E2  A bar whose return is NaN changes nothing and is counted apart.
 *   E3  The line holds every `stride`-th bar; when it is full every other point goes and the stride
 *       doubles. The newest bar is always its last point.
 *   E4  It begins without a position: coming into the one that the first bar holds is a trade, and
 *       what it costs is part of the first return.
 */
export class Equity {
  readonly #barsPerYear: number;
  #bars = 0;
  #barsWithoutValue = 0;
  #trades = 0;
  #equity = 1;
  /** Cost of a trade before the first bar that no return has paid yet, a fraction of the equity. */
  #entryCost = 0;
  #peak = 1;
  #drawdownMax = 0;
  /** Mean of the returns, and sum of their squared distances from it (Welford). */
  #mean = 0;
  #squares = 0;
  #line: (readonly [number, number])[] = [];
  #stride = 1;
  #newestTs = Number.NaN;

  constructor(interval: Interval) {
    this.#barsPerYear = yearMs / interval.lengthMs;
  }

  /** Comes into `position` before the first bar, at a `cost` that is a fraction of it (E4). */
  enter(position: number, cost: number): void {
    if (Number.isNaN(position) || position === 0) return;
    this.#trades += 1;
    this.#entryCost = cost * Math.abs(position);
  }

  /** Takes the next bar: its own return, a fraction, and by how much the position changed. */
  add(ts: number, barReturn: number, traded: number): void {
    if (traded > 0) this.#trades += 1;
    if (Number.isNaN(barReturn)) {
      this.#barsWithoutValue += 1;
      return;
    }
    const ret = barReturn - this.#entryCost * (1 + barReturn);
    this.#entryCost = 0;
    this.#equity *= Math.max(0, 1 + ret);
    this.#peak = Math.max(this.#peak, this.#equity);
    this.#drawdownMax = Math.max(this.#drawdownMax, 1 - this.#equity / this.#peak);
    if (this.#bars % this.#stride === 0) this.#keep(ts);
    this.#newestTs = ts;
    this.#bars += 1;
    const distance = ret - this.#mean;
    this.#mean += distance / this.#bars;
    this.#squares += distance * (ret - this.#mean);
  }

  #keep(ts: number): void {
    if (this.#line.length === linePointsMax) {
      this.#line = this.#line.filter((_, i) => i % 2 === 0);
      this.#stride *= 2;
    }
    this.#line.push([ts, this.#equity]);
  }

  /** What it has come to. */
  summary(): Omit<EquityReport, "name" | "key" | "nodeId" | "definitionId"> {
    const deviation = Math.sqrt(this.#squares / (this.#bars - 1));
    const hasNewest = this.#bars === 0 || this.#line.at(-1)?.[0] === this.#newestTs;
    return {
      bars: this.#bars,
      barsWithoutValue: this.#barsWithoutValue,
      trades: this.#trades,
      totalReturn: this.#equity - 1,
      drawdownMax: this.#drawdownMax,
      sharpe: deviation > 0 ? (this.#mean / deviation) * Math.sqrt(this.#barsPerYear) : Number.NaN,
      barsPerYear: this.#barsPerYear,
      line: hasNewest ? [...this.#line] : [...this.#line, [this.#newestTs, this.#equity]],
    };
  }
}
