import { assert } from "../../core/assert.ts";
import { silencedBy, waitingNodes } from "../../graph/components.ts";
import { type Graph, type GraphNode } from "../../graph/graph.ts";
import { ColumnStore } from "../../window/column-store.ts";
import { type CheckpointPart, FloatsPart, PendingPart, StorePart } from "../checkpoint/parts.ts";
import { type NodeProfile } from "../node-profile.ts";
import { type ChainedCall } from "./chain.ts";
import { JoinGate } from "./join-gate.ts";
import { NodeCall } from "./node-call.ts";
import { NodeOutput, type OutputSink, type OutputTap } from "./node-output.ts";
import { pendingBarsMax } from "./pending-rows.ts";
import { type StreamCounts, StreamLoop } from "./stream-loop.ts";

/** What a task is made of. */
export interface TaskOptions {
  readonly graph: Graph;
  /** Keys of the streams this task owns; a node is here if all its inputs are. */
  readonly owns: (stream: GraphNode, key: string) => boolean;
  readonly sink: OutputSink;
  /** Nodes of the graph that are in this task; without, all are. */
  readonly nodes?: ReadonlySet<number> | undefined;
  /** Who is told of what a node emits, beside its readers in the task; `keys` by slot. */
  readonly taps?: ((node: GraphNode, keys: readonly string[]) => readonly OutputTap[]) | undefined;
  /** Keys that are met on the way: slots and names come from here, not from the graph. */
  readonly metKeys?: { readonly slotsMax: number; readonly keyOf: (slot: number) => string };
  /** True (development): a view kept after compute is empty instead of stale. */
  readonly isPoisoning: boolean;
  /** Nodes that are not run, nor is what reads from them; `quarantine` can release them. */
  readonly quarantined?: ReadonlySet<number>;
  /** `heartbeat[0]` names the node that runs, by its index in the graph. */
  readonly heartbeat?: Int32Array;
  /** Where nodes' calls and times go; without, nothing is counted or timed. */
  readonly profile?: NodeProfile | undefined;
  /** Bars of a key and input that a join may hold, at most: more are an error. */
  readonly pendingRowsMax?: number | undefined;
  /** True (tests): the plain loop over nodes instead of the generated one. */
  readonly isInterpreted?: boolean;
}

/** A node of this task: its keys by slot, its output, its counts. */
interface Place {
  readonly node: GraphNode;
  readonly keys: readonly string[];
  readonly slotOf: ReadonlyMap<string, number>;
  readonly keyOf: (slot: number) => string;
  readonly slots: number;
  readonly output: NodeOutput;
}

interface StreamPlace extends Place {
  readonly loop: StreamLoop;
}

/** A node that does not run because of a quarantine, and what brings it back. */
interface Silenced {
  readonly node: number;
  readonly stream: number;
  readonly call: NodeCall;
  /** What the chain looks at: all 0 while it is silent. */
  readonly isHere: Uint8Array;
  /** 1 for each slot whose key it is declared for. */
  readonly here: Uint8Array;
}

/** A node that waits, with what it waits for: for each of its slots the slot of each input. */
export interface PlacedGate {
  readonly gate: JoinGate;
  readonly node: number;
  readonly slots: number;
  readonly inputs: readonly { readonly node: number; readonly slotOf: Int32Array }[];
}

/**
 * All state of one task and the loop that runs it: one thread owns it, alone. Records go in by
 * `accept`, in rising time per key; outputs leave by the sink.
 *
 *   P1  A record at or before the newest of its key is late (or a duplicate) and fires nothing.
 *   P2  Nodes on one root run inside `accept`; nodes on several run inside `advance`.
 *   P3  Equal records in any interleaving of keys give equal outputs per key.
 */
export class Task {
  readonly #places: readonly Place[];
  readonly #streams: ReadonlyMap<number, StreamPlace>;
  /** Its nodes that wait, inputs before their readers. */
  readonly gates: readonly PlacedGate[];
  readonly #calls: readonly { readonly call: NodeCall; readonly slots: number }[];
  readonly #graph: Graph;
  #silenced: readonly Silenced[];
  readonly #chainOf: ReadonlyMap<number, number>;

  constructor(options: TaskOptions) {
    const built = new TaskBuilder(options).build();
    this.#places = built.places;
    this.#streams = built.streams;
    this.gates = built.gates;
    this.#calls = built.calls;
    this.#chainOf = built.chainOf;
    this.#graph = options.graph;
    this.#silenced = built.silenced;
  }

  /**
   * Leaves only `nodes` quarantined, of those that were: the others run from the next record on.
   * What stays silent forgets its state and the records its readers see, so that nothing from before
   * is ever taken for the record before the next one: a released node has its window at once, for
   * its streams went on, and its readers wait until theirs is full again.
   */
  quarantine(nodes: ReadonlySet<number>): void {
    const silent = silencedBy(this.#graph, nodes);
    for (const { node, stream, call, isHere, here } of this.#silenced) {
      if (!silent.has(node)) {
        isHere.set(here);
        continue;
      }
      call.forget();
      call.output.forget();
      this.streamOf(stream).forget(node);
    }
    this.#silenced = this.#silenced.filter(({ node }) => silent.has(node));
    for (const { gate, node, inputs } of this.gates) {
      gate.isSilent = silent.has(node);
      if (gate.isSilent) gate.forget(inputs.map(({ node: from }) => silent.has(from)));
    }
  }

  /** Slot of `key` in stream `node`; -1 if this task does not own it. */
  slotOf(node: number, key: string): number {
    return this.#streams.get(node)?.slotOf.get(key) ?? -1;
  }

  /** Keys of node `node` by slot. */
  keysOf(node: number): readonly string[] {
    return this.#places.find((place) => place.node.index === node)?.keys ?? [];
  }

  /** True if a node of this task waits for more than one root. */
  get hasJoins(): boolean {
    return this.gates.length > 0;
  }

  /** The stream that `node` hangs on alone; `node` itself if it waits for several. */
  rootOf(node: number): number {
    return this.#chainOf.get(node) ?? node;
  }

  /** The loop of stream `node`: what takes its records. */
  streamOf(node: number): StreamLoop {
    const stream = this.#streams.get(node);
    assert(stream !== undefined, "a task has a loop for each of its streams");
    return stream.loop;
  }

  /** Every root of this task has come to `time`: all records closed by it have been accepted. */
  advance(time: number): void {
    for (const { loop, keys } of this.#streams.values()) {
      if (!loop.hasCoarser) continue;
      for (let slot = 0; slot < keys.length; slot += 1) loop.closeThrough(slot, time);
    }
    for (const { gate } of this.gates) gate.advance(time);
  }

  /** Hands all buffered outputs to the sink. */
  flush(): void {
    for (const { output } of this.#places) output.flush();
  }

  /** All state of this task, in a fixed order: what a checkpoint saves and brings back. */
  parts(): readonly CheckpointPart[] {
    const parts: CheckpointPart[] = this.#places.map(({ output }) => new StorePart(output.store));
    for (const { loop } of this.#streams.values()) {
      parts.push(...loop.floats.map((floats) => FloatsPart.ofArray(floats)));
    }
    for (const { call, slots } of this.#calls) {
      if (call.node.stateFloats === 0) continue;
      const read = (slot: number): Float64Array | undefined => call.states[slot];
      const open = (slot: number): Float64Array => call.stateOf(slot);
      parts.push(new FloatsPart(slots, call.node.stateFloats, read, open));
    }
    for (const { gate } of this.gates) {
      const { decided, pending, stores } = gate.waiting;
      parts.push(...stores.map((store) => new StorePart(store)), FloatsPart.ofArray(decided));
      parts.push(...pending.map((rows) => new PendingPart(rows)));
    }
    return parts;
  }

  /** Adds what an earlier run of the same task had counted. */
  addCounts(
    streams: readonly { readonly node: number; readonly counts: StreamCounts }[],
    refused: readonly { readonly node: number; readonly refused: number }[],
  ): void {
    for (const { node, counts } of streams) {
      const own = this.streamOf(node).counts;
      own.accepted += counts.accepted;
      own.late += counts.late;
      own.duplicate += counts.duplicate;
    }
    for (const { node, refused: count } of refused) {
      const place = this.#places.find((own) => own.node.index === node);
      if (place !== undefined) place.output.refused += count;
    }
  }

  /** Counts by stream and by node, for reports. */
  counts(): {
    readonly streams: readonly { readonly node: number; readonly counts: StreamCounts }[];
    readonly nodes: readonly {
      readonly node: number;
      readonly emitted: number;
      readonly refused: number;
    }[];
  } {
    return {
      streams: [...this.#streams.values()].map(({ node, loop }) => ({
        node: node.index,
        counts: loop.counts,
      })),
      nodes: this.#places
        .filter(({ node }) => node.kind !== "stream")
        .map(({ node, output }) => ({
          node: node.index,
          emitted: output.emitted,
          refused: output.refused,
        })),
    };
  }
}

/** Builds a task's places in topological order, so that inputs exist before their readers. */
class TaskBuilder {
  readonly #options: TaskOptions;
  readonly #places: Place[] = [];
  readonly #byNode = new Map<number, Place>();
  readonly #gates: PlacedGate[] = [];
  readonly #calls: { readonly call: NodeCall; readonly slots: number }[] = [];
  readonly #chained = new Map<number, ChainedCall[]>();
  readonly #chainOf = new Map<number, number>();
  readonly #isGated: ReadonlySet<number>;
  readonly #silent: ReadonlySet<number>;
  readonly #silenced: Silenced[] = [];
  readonly #heartbeat: Int32Array;

  constructor(options: TaskOptions) {
    this.#options = options;
    this.#isGated = waitingNodes(options.graph);
    this.#silent = silencedBy(options.graph, options.quarantined ?? new Set());
    this.#heartbeat = options.heartbeat ?? new Int32Array(2);
  }

  build(): {
    readonly places: readonly Place[];
    readonly streams: ReadonlyMap<number, StreamPlace>;
    readonly gates: readonly PlacedGate[];
    readonly calls: readonly { readonly call: NodeCall; readonly slots: number }[];
    readonly silenced: readonly Silenced[];
    readonly chainOf: ReadonlyMap<number, number>;
  } {
    const { graph, nodes } = this.#options;
    for (const node of graph.nodes) {
      if (nodes?.has(node.index) === false) continue;
      if (node.kind === "stream") this.#addStream(node);
      else if (this.#isGated.has(node.index)) this.#addGated(node);
      else this.#addChained(node);
    }
    const streams = new Map<number, StreamPlace>();
    for (const place of this.#places) {
      if (place.node.kind === "stream") streams.set(place.node.index, this.#streamPlace(place));
    }
    return {
      places: this.#places,
      streams,
      gates: this.#gates,
      calls: this.#calls,
      silenced: this.#silenced,
      chainOf: this.#chainOf,
    };
  }

  #addStream(node: GraphNode): void {
    const keys = node.keys.map(({ key }) => key).filter((key) => this.#options.owns(node, key));
    this.#chainOf.set(node.index, node.index);
    this.#chained.set(node.index, []);
    this.#place(node, keys, undefined);
  }

  /** A node on one root shares its stream's slots: no copy, no queue. */
  #addChained(node: GraphNode): void {
    const first = this.#byNode.get(node.inputs[0]!.from);
    const stream = this.#chainOf.get(node.inputs[0]!.from);
    if (first === undefined || stream === undefined) return;
    const root = this.#byNode.get(stream)!;
    const place = this.#place(node, root.keys, this.#options.sink);
    this.#chainOf.set(node.index, stream);
    const upstreams = node.inputs.map(({ from }) => this.#byNode.get(from)!);
    const call = this.#call(
      place,
      upstreams.map(({ node: from, output }) => ({ node: from, store: output.store })),
    );
    const awaited = upstreams.filter((_, i) => !node.inputs[i]!.isCoarser);
    this.#chained.get(stream)!.push({
      call,
      awaited: awaited.map(({ output }) => output.store),
      isHere: this.#isHereOf(call, stream),
    });
  }

  /** Where the chain runs a node: where it is declared, or nowhere while it is silent. */
  #isHereOf(call: NodeCall, stream: number): Uint8Array {
    const { node } = call;
    const here = this.#hereOf(node, this.#byNode.get(stream)!);
    if (!this.#silent.has(node.index)) return here;
    const isHere = new Uint8Array(here.length);
    this.#silenced.push({ node: node.index, stream, call, isHere, here });
    return isHere;
  }

  /** 1 for each slot of the stream whose key the node is declared for. */
  #hereOf(node: GraphNode, root: Place): Uint8Array {
    const here = new Uint8Array(root.slots);
    if (this.#options.metKeys !== undefined) return here.fill(1);
    for (const { key } of node.keys) here[root.slotOf.get(key) ?? root.slots] = 1;
    return here;
  }

  /** A node on several roots has its own copies of its inputs, at its own keys. */
  #addGated(node: GraphNode): void {
    const upstreams = node.inputs.map(({ from }) => this.#byNode.get(from));
    const own = node.keys.filter(({ key, inputKeys }) =>
      upstreams.every((upstream, i) => upstream?.slotOf.has(inputKeys[i] ?? key) === true),
    );
    const place = this.#place(
      node,
      own.map(({ key }) => key),
      this.#options.sink,
    );
    const slots = Math.max(1, own.length);
    const inputs = node.inputs.map(({ from, lookback, isCoarser }) => {
      const upstream = this.#options.graph.nodes[from]!;
      const fields = Object.keys(upstream.schema).length;
      return { node: upstream, isCoarser, store: new ColumnStore(lookback, fields, slots) };
    });
    const gate = new JoinGate(this.#call(place, inputs), inputs, {
      slots: own.length,
      heartbeat: this.#heartbeat,
      pendingRowsMax: this.#options.pendingRowsMax ?? pendingBarsMax,
    });
    gate.isSilent = this.#silent.has(node.index);
    const placed = upstreams.map((upstream, i) => {
      const slotOf = Int32Array.from(own, ({ key, inputKeys }) => {
        return upstream!.slotOf.get(inputKeys[i] ?? key)!;
      });
      const slotsOf: number[][] = [];
      for (const [slot, from] of slotOf.entries()) (slotsOf[from] ??= []).push(slot);
      upstream!.output.taps.push(gate.tap(i, slotsOf));
      return { node: upstream!.node.index, slotOf };
    });
    this.#gates.push({ gate, node: node.index, slots: own.length, inputs: placed });
  }

  #call(
    place: Place,
    upstreams: readonly { readonly node: GraphNode; readonly store: ColumnStore }[],
  ): NodeCall {
    const call = new NodeCall(place.node, upstreams, place.output, {
      isPoisoning: this.#options.isPoisoning,
      keyOf: place.keyOf,
      profile: this.#options.profile,
    });
    this.#calls.push({ call, slots: place.slots });
    return call;
  }

  #place(node: GraphNode, keys: readonly string[], sink: OutputSink | undefined): Place {
    const { metKeys } = this.#options;
    const slots = metKeys?.slotsMax ?? Math.max(1, keys.length);
    const place = {
      node,
      keys,
      slotOf: new Map(keys.map((key, slot) => [key, slot])),
      keyOf: metKeys?.keyOf ?? ((slot: number) => keys[slot] ?? ""),
      slots,
      output: new NodeOutput(node, slots, sink),
    };
    place.output.taps.push(...(this.#options.taps?.(node, keys) ?? []));
    this.#places.push(place);
    this.#byNode.set(node.index, place);
    return place;
  }

  #streamPlace(place: Place): StreamPlace {
    const loop = new StreamLoop(place.node, {
      output: place.output,
      slots: place.slots,
      calls: this.#chained.get(place.node.index)!,
      heartbeat: this.#heartbeat,
      profile: this.#options.profile,
      isInterpreted: this.#options.isInterpreted === true,
    });
    return { ...place, loop };
  }
}
