import { QmtlError } from "../core/errors.ts";
import { waitingNodes } from "./components.ts";
import { type Graph, type GraphNode } from "./graph.ts";

/** A part of the plan between repartitions: its nodes hang together in one partition. */
export interface Stage {
  /** Repartitions that a record has gone through to get here, at most. */
  readonly depth: number;
  /** Indices of its nodes, streams included, in topological order. */
  readonly nodes: readonly number[];
  /** Those of them that are streams. */
  readonly streams: readonly number[];
}

/** An input of a join whose records are forwarded to the join's own key. */
export interface Forward {
  /** Index of the join. */
  readonly join: number;
  /** Which of its inputs. */
  readonly input: number;
  /** Index of the node whose records are forwarded. */
  readonly from: number;
  /** Index of the stream as which they come out of the topic. */
  readonly to: number;
  /** Key of the join for each key of the input; an input's key may feed several. */
  readonly keys: readonly { readonly from: string; readonly to: string }[];
}

/** A graph cut into stages. */
export interface StagedGraph {
  /** The graph, with a stream in place of each input that is forwarded. */
  readonly graph: Graph;
  /** In rising depth. A graph without such joins has one a stream, or fewer. */
  readonly stages: readonly Stage[];
  readonly forwards: readonly Forward[];
}

/** The topic through which a join's inputs are forwarded. */
export function repartitionTopic({ definitionId }: GraphNode): string {
  return `qmtl.repartition.${definitionId}`;
}

/**
 * Cuts a graph at its repartition edges (docs/decisions/live-joins.md).
 *
 *   S1  A join all of whose inputs lie at its own key, equally many repartitions from the streams,
 *       stays with them: equal keys are in equal partitions.
 *   S2  All inputs of any other join are forwarded: each becomes a stream at the join's key, and
 *       from there on the join is one of S1.
 *   S3  What no edge connects is a stage of its own.
 *
 * @throws QmtlError GRAPH_INVALID if a join is over a stream that takes any key.
 */
export function stagedOf(graph: Graph): StagedGraph {
  return new StageCutter(graph).cut();
}

class StageCutter {
  readonly #source: Graph;
  readonly #nodes: GraphNode[] = [];
  readonly #forwards: Forward[] = [];
  /** New index of each node of the source. */
  readonly #indices: number[] = [];
  /** By new index. */
  readonly #depths: number[] = [];
  readonly #leaders: number[] = [];

  constructor(source: Graph) {
    this.#source = source;
  }

  cut(): StagedGraph {
    checkKeys(this.#source);
    const waiting = waitingNodes(this.#source);
    for (const node of this.#source.nodes) {
      if (waiting.has(node.index) && this.#isApart(node)) this.#addForwarded(node);
      else this.#addDirect(node);
    }
    return { graph: { nodes: this.#nodes }, stages: this.#stages(), forwards: this.#forwards };
  }

  /** True if the inputs of `node` do not meet in one partition (S1). */
  #isApart({ inputs, keys }: GraphNode): boolean {
    const depths = inputs.map(({ from }) => this.#depths[this.#indices[from] ?? 0]);
    const isSpread = depths.some((depth) => depth !== depths[0]);
    return isSpread || keys.some(({ key, inputKeys }) => inputKeys.some((own) => own !== key));
  }

  #addDirect(node: GraphNode): void {
    const inputs = node.inputs.map((input) => ({
      ...input,
      from: this.#indices[input.from] ?? 0,
    }));
    const depth = Math.max(0, ...inputs.map(({ from }) => this.#depths[from] ?? 0));
    const index = this.#add({ ...node, inputs }, depth);
    this.#indices[node.index] = index;
    for (const { from } of inputs) this.#leaders[this.#leader(from)] = this.#leader(index);
  }

  /** S2. */
  #addForwarded(node: GraphNode): void {
    const depths = node.inputs.map(({ from }) => this.#depths[this.#indices[from] ?? 0] ?? 0);
    const depth = 1 + Math.max(...depths);
    const streams = node.inputs.map(({ from, lookback, name }, input) => {
      const upstream = this.#nodes[this.#indices[from] ?? 0];
      if (upstream === undefined) throw new Error("inputs come before their readers");
      return {
        from: upstream.index,
        to: this.#add(forwardedStream(node, upstream, { lookback, name }), depth),
        keys: node.keys.map(({ key, inputKeys }) => ({ from: inputKeys[input] ?? key, to: key })),
      };
    });
    const inputs = node.inputs.map((input, i) => ({ ...input, from: streams[i]?.to ?? 0 }));
    const keys = node.keys.map((key) => ({ ...key, inputKeys: inputs.map(() => key.key) }));
    const join = this.#add({ ...node, inputs, keys }, depth);
    this.#indices[node.index] = join;
    for (const [input, stream] of streams.entries()) {
      this.#forwards.push({ join, input, ...stream });
      this.#leaders[this.#leader(stream.to)] = this.#leader(join);
    }
  }

  #add(node: GraphNode, depth: number): number {
    const index = this.#nodes.length;
    this.#nodes.push({ ...node, index });
    this.#depths.push(depth);
    this.#leaders.push(index);
    return index;
  }

  #leader(index: number): number {
    let at = index;
    while (this.#leaders[at] !== at) at = this.#leaders[at] ?? at;
    return at;
  }

  #stages(): readonly Stage[] {
    const groups = Map.groupBy(this.#nodes, ({ index }) => this.#leader(index));
    const stages = [...groups.values()].map((nodes) => ({
      depth: this.#depths[nodes[0]?.index ?? 0] ?? 0,
      nodes: nodes.map(({ index }) => index),
      streams: nodes.filter(({ kind }) => kind === "stream").map(({ index }) => index),
    }));
    return stages.toSorted((a, b) => a.depth - b.depth);
  }
}

/** What an input of `join` is once it has been forwarded: a stream at the join's keys. */
function forwardedStream(
  join: GraphNode,
  from: GraphNode,
  input: { readonly lookback: number; readonly name: string },
): GraphNode {
  return {
    ...from,
    kind: "stream",
    name: `${join.name}.${input.name}`,
    definitionId: join.definitionId,
    period: input.lookback,
    publish: false,
    keys: join.keys.map((key) => ({ ...key, inputKeys: [] })),
    source: { topic: repartitionTopic(join) },
    takesAnyKey: false,
    maxKeys: join.keys.length,
    // A node's late row is its stream's: the node does not emit it again.
    onLate: from.kind === "stream" ? from.onLate : "drop",
    inputs: [],
    run: undefined,
    stateFloats: 0,
  };
}

/** Which keys a join over any keys has is known only when it is too late to cut the plan. */
function checkKeys({ nodes }: Graph): void {
  const roots: ReadonlySet<number>[] = [];
  for (const { index, inputs, kind, name, takesAnyKey } of nodes) {
    const own = new Set(
      kind === "stream" ? [index] : inputs.flatMap(({ from }) => [...(roots[from] ?? [])]),
    );
    roots.push(own);
    if (!takesAnyKey || own.size < 2) continue;
    throw new QmtlError(
      "GRAPH_INVALID",
      `Cannot run live: "${name}" joins streams of which one takes any key (symbols: "*"), wanted listed symbols`,
      { node: name },
    );
  }
}
