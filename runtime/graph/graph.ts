import { type Schema } from "../contract/schema.ts";
import { QmtlError } from "../core/errors.ts";
import { Interval } from "../core/interval.ts";
import { codeIdentityOf } from "./code/code-identity.ts";
import {
  type Declaration,
  type NodeDeclaration,
  type OnLate,
  type OnMissing,
  type Params,
  type SourceIdentity,
  type StreamDeclaration,
  type UserFunction,
} from "./declaration.ts";
import { definitionIdOf, nodeIdOf } from "./ids.ts";
import { joinKeys } from "./join-keys.ts";

/**
 * A node with this tag and a field `ret` gives returns: the report compounds them. It may also have
 * `traded`, by how much the position changed at the bar's close, `held`, the position through the
 * bar, and a param `cost`, the fraction of a trade that it costs.
 */
export const returnsTag = "returns";

/** Nodes of one strategy, at most. */
export const nodesMax = 10_000;

/** One input of a graph node, defaults resolved. */
export interface GraphInput {
  readonly name: string;
  /** Index of the upstream in `Graph.nodes`. */
  readonly from: number;
  /** Bars the node may read, and waits for. */
  readonly lookback: number;
  /** True if the input's bars are longer than the node's: it is read as of T and never awaited. */
  readonly isCoarser: boolean;
}

/** A definition's stream for one key. */
export interface GraphKey {
  readonly key: string;
  readonly nodeId: string;
  /** Key of each input, in input order; empty for a stream. */
  readonly inputKeys: readonly string[];
}

/** A definition, defaults resolved: what the rest of the runtime works with. */
export interface GraphNode {
  readonly index: number;
  readonly kind: Declaration["kind"];
  readonly name: string;
  readonly tags: readonly string[];
  readonly definitionId: string;
  readonly schema: Schema;
  readonly interval: Interval;
  /** Bars kept for its readers: a stream's period, raised to the longest lookback on it. */
  readonly period: number;
  readonly publish: boolean | { readonly topic: string };
  readonly keys: readonly GraphKey[];
  /** Streams only. */
  readonly source: SourceIdentity | undefined;
  readonly takesAnyKey: boolean;
  readonly maxKeys: number;
  readonly onLate: OnLate;
  /** URL of the history store that the stream names. */
  readonly store: string | undefined;
  /** Nodes only. */
  readonly form: NodeDeclaration["form"];
  readonly inputs: readonly GraphInput[];
  readonly params: Params;
  readonly onMissing: OnMissing;
  readonly run: UserFunction | undefined;
  readonly stateFloats: number;
}

/** Definitions in topological order: inputs come before their readers. Same meaning, one entry. */
export interface Graph {
  readonly nodes: readonly GraphNode[];
}

type Draft = { -readonly [K in keyof GraphNode]: GraphNode[K] };

/**
 * The graph of all `declarations` and what they read from; equal definitions become one.
 *
 * @throws QmtlError GRAPH_INVALID, INTERVAL_NOT_A_MULTIPLE, JOIN_KEYS_MISMATCH or a CODE_* refusal.
 */
export function buildGraph(declarations: readonly Declaration[]): Graph {
  const builder = new GraphBuilder();
  for (const declaration of declarations) builder.add(declaration);
  return builder.finish();
}

class GraphBuilder {
  readonly #drafts: Draft[] = [];
  readonly #byDefinition = new Map<string, Draft>();
  /** Index and keys of each declaration: two equal definitions may have different keys. */
  readonly #placed = new Map<
    Declaration,
    { readonly draft: Draft; readonly keys: readonly GraphKey[] }
  >();

  add(declaration: Declaration): void {
    this.#place(declaration);
  }

  finish(): Graph {
    if (this.#drafts.length === 0) {
      throw new QmtlError("GRAPH_INVALID", "Cannot build the graph: it has no nodes, wanted one");
    }
    return { nodes: this.#drafts };
  }

  #place(declaration: Declaration): { readonly draft: Draft; readonly keys: readonly GraphKey[] } {
    const known = this.#placed.get(declaration);
    if (known !== undefined) return known;
    const made =
      declaration.kind === "stream" ? this.#stream(declaration) : this.#node(declaration);
    const draft = this.#merge(made);
    const placed = { draft, keys: made.keys };
    this.#placed.set(declaration, placed);
    return placed;
  }

  #stream(declaration: StreamDeclaration): Draft {
    const { source, interval, schema } = declaration;
    const definitionId = definitionIdOf({ kind: "stream", source, interval, schema });
    const symbols = declaration.symbols === "*" ? [] : declaration.symbols;
    return {
      ...draftOf(declaration, definitionId, Interval.of(interval)),
      name: declaration.name ?? `stream_${interval}`,
      period: declaration.period,
      keys: symbols.map((key) => ({ key, nodeId: nodeIdOf(definitionId, key), inputKeys: [] })),
      source,
      takesAnyKey: declaration.symbols === "*",
      maxKeys: Math.max(declaration.maxKeys, symbols.length),
      onLate: declaration.onLate,
      store: declaration.store,
    };
  }

  #node(declaration: NodeDeclaration): Draft {
    const upstreams = declaration.inputs.map((input) => this.#place(input.from));
    const interval = intervalOf(
      declaration,
      upstreams.map((upstream) => upstream.draft.interval),
    );
    const inputs = declaration.inputs.map((input, i): GraphInput => {
      const from = upstreams[i]?.draft;
      if (from === undefined) throw missingInput(declaration, input.name);
      return resolveInput(from, input.lookback, interval, input.name);
    });
    const { kind, schema, params, onMissing, stateFloats } = declaration;
    const definitionId = definitionIdOf({
      kind,
      schema,
      params,
      onMissing,
      stateFloats,
      interval: interval.name,
      code: codeIdentityOf(declaration.run),
      inputs: inputs.map(({ name, from, lookback }) => ({
        name,
        definitionId: this.#drafts[from]?.definitionId ?? "",
        lookback,
      })),
    });
    const name = declaration.name ?? `${kind}_${this.#drafts.length}`;
    const keys = joinKeys(
      name,
      upstreams.map((upstream) => upstream.keys.map(({ key }) => key)),
    );
    return {
      ...draftOf(declaration, definitionId, interval),
      name,
      keys: keys.map(({ key, inputKeys }) => ({
        key,
        nodeId: nodeIdOf(definitionId, key),
        inputKeys,
      })),
      takesAnyKey: upstreams.some((upstream) => upstream.draft.takesAnyKey),
      maxKeys: Math.max(keys.length, ...upstreams.map((upstream) => upstream.draft.maxKeys)),
      form: declaration.form,
      inputs,
      params,
      onMissing,
      run: declaration.run,
      stateFloats,
    };
  }

  /** The definition that `made` means: itself, or the equal one that is there. */
  #merge(made: Draft): Draft {
    let draft = this.#byDefinition.get(made.definitionId);
    if (draft === undefined) {
      if (this.#drafts.length === nodesMax) {
        throw new QmtlError(
          "GRAPH_INVALID",
          `Cannot build the graph: it has more than ${nodesMax} nodes`,
        );
      }
      draft = { ...made, index: this.#drafts.length };
      this.#drafts.push(draft);
      this.#byDefinition.set(made.definitionId, draft);
    } else {
      const seen = new Set(draft.keys.map(({ key }) => key));
      draft.keys = [...draft.keys, ...made.keys.filter(({ key }) => !seen.has(key))];
      draft.tags = [...new Set([...draft.tags, ...made.tags])];
      draft.period = Math.max(draft.period, made.period);
      draft.maxKeys = Math.max(draft.maxKeys, made.maxKeys, draft.keys.length);
      draft.publish = samePublish(draft, made);
      draft.store ??= made.store;
    }
    for (const input of made.inputs) {
      const from = this.#drafts[input.from];
      if (from !== undefined) from.period = Math.max(from.period, input.lookback);
    }
    return draft;
  }
}

function draftOf(declaration: Declaration, definitionId: string, interval: Interval): Draft {
  return {
    index: 0,
    kind: declaration.kind,
    name: "",
    tags: declaration.tags,
    definitionId,
    schema: declaration.schema,
    interval,
    period: 0,
    publish: declaration.publish,
    keys: [],
    source: undefined,
    takesAnyKey: false,
    maxKeys: 0,
    onLate: "drop",
    store: undefined,
    form: "single",
    inputs: [],
    params: {},
    onMissing: "skip",
    run: undefined,
    stateFloats: 0,
  };
}

function resolveInput(
  from: GraphNode,
  lookback: number | undefined,
  interval: Interval,
  name: string,
): GraphInput {
  const isCoarser = from.interval.name !== interval.name && !interval.isMultipleOf(from.interval);
  const byDefault = from.kind === "stream" ? from.period : isCoarser ? 2 : 1;
  return { name, from: from.index, lookback: lookback ?? byDefault, isCoarser };
}

/** The node's own interval: as declared, else the finest input's. */
function intervalOf(declaration: NodeDeclaration, inputs: readonly Interval[]): Interval {
  const finest = inputs.toSorted((a, b) => a.lengthMs - b.lengthMs)[0];
  if (finest === undefined) throw missingInput(declaration, "0");
  const own = declaration.interval === undefined ? finest : Interval.of(declaration.interval);
  if (own.isMultipleOf(finest)) return own;
  throw new QmtlError(
    "INTERVAL_NOT_A_MULTIPLE",
    `Cannot give "${declaration.name ?? declaration.kind}" the interval ${own.name}: its finest input has ${finest.name}, wanted a multiple of that`,
  );
}

function missingInput(declaration: NodeDeclaration, name: string): QmtlError {
  return new QmtlError(
    "GRAPH_INVALID",
    `Cannot build "${declaration.name ?? declaration.kind}": input "${name}" is missing, wanted a node or stream`,
  );
}

function samePublish(a: Draft, b: Draft): Draft["publish"] {
  if (a.publish === false) return b.publish;
  if (b.publish === false || b.publish === true) return a.publish;
  if (a.publish === true || a.publish.topic === b.publish.topic) return b.publish;
  throw new QmtlError(
    "GRAPH_INVALID",
    `Cannot publish "${a.name}" to two topics: found "${a.publish.topic}" and "${b.publish.topic}", wanted one`,
  );
}
