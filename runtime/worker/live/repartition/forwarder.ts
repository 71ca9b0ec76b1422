import { partitionOf } from "../../../codec/partitioner.ts";
import { type Clock } from "../../../core/clock.ts";
import { type Graph, type GraphNode } from "../../../graph/graph.ts";
import { type Forward, repartitionTopic } from "../../../graph/stages.ts";
import { type ColumnStore } from "../../../window/column-store.ts";
import { type OutputTap } from "../../task/node-output.ts";
import { type BatchSender } from "../output/batch-sender.ts";
import { ForwardForm, forwardMarkBytes, writeForwardMark } from "./forward-form.ts";
import { type ForwardSenders } from "./forward-senders.ts";
import { type StageProgress } from "./stage-progress.ts";

/** What all forwarders of a thread have in common. */
export interface ForwardOptions {
  readonly graph: Graph;
  readonly senders: ForwardSenders;
  /** Partitions of the repartition topics. */
  readonly partitions: number;
  /** Whose plan it is: a repartition topic may be another's, too. */
  readonly source: number;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** Where a source key's records go: the sender is opened with the first of them. */
class Target {
  readonly key: Uint8Array;
  readonly #open: () => BatchSender;
  #sender: BatchSender | undefined;

  constructor(key: Uint8Array, open: () => BatchSender) {
    this.key = key;
    this.#open = open;
  }

  get sender(): BatchSender {
    this.#sender ??= this.#open();
    return this.#sender;
  }
}

/**
 * The source side of repartition topics, for one task: what its nodes emit goes on to the keys of
 * the joins that wait for it.
 *
 *   W1  Records of a source key reach each of its targets in their order, from this task alone.
 *   W2  A mark follows every record that closed by its time.
 *   W3  A mark is sent only where the records themselves do not say as much.
 */
export class Forwarder {
  readonly #options: ForwardOptions;
  readonly #forwards: readonly Forward[];
  readonly #ways: Way[] = [];

  /** `forwards` are those whose source is in the task's stage. */
  constructor(options: ForwardOptions, forwards: readonly Forward[]) {
    this.#options = options;
    this.#forwards = forwards;
  }

  /** The taps that forward what `node` emits; `keys` are its keys by slot. */
  tapsOf(node: GraphNode, keys: readonly string[]): readonly OutputTap[] {
    const own = this.#forwards.filter(({ from }) => from === node.index);
    const ways = own.map((forward) => new Way(this.#options, forward, node, keys));
    this.#ways.push(...ways);
    return ways;
  }

  /** Resolves when all that was forwarded and sealed by now is acknowledged. @throws a failure. */
  async barrier(): Promise<void> {
    await this.#options.senders.barrier();
  }

  /** At the end of a turn: tells the joins how far the sources have come (W3). */
  mark(progress: StageProgress): void {
    for (const way of this.#ways) way.mark(progress.of(way.node.index));
  }
}

/** One input of a join, from one task. */
class Way implements OutputTap {
  readonly node: GraphNode;
  readonly #options: ForwardOptions;
  readonly #form: ForwardForm;
  /** By slot. */
  readonly #targets: readonly (readonly Target[])[];
  /** What the targets know, by slot: through which time no more records come. */
  readonly #known: Float64Array;

  constructor(
    options: ForwardOptions,
    { input, join, keys: pairs }: Forward,
    node: GraphNode,
    keys: readonly string[],
  ) {
    const { graph, partitions, senders, source } = options;
    this.node = node;
    this.#options = options;
    this.#form = new ForwardForm(node.schema, source, input);
    const topic = repartitionTopic(graph.nodes[join]!);
    this.#targets = keys.map((own) =>
      pairs
        .filter(({ from }) => from === own)
        .map(({ to }) => {
          const key = new TextEncoder().encode(to);
          const partition = partitionOf(key, 0, key.length, partitions);
          return new Target(key, () => senders.of(topic, partition));
        }),
    );
    this.#known = new Float64Array(keys.length).fill(Number.NEGATIVE_INFINITY);
  }

  take(slot: number, close: number, store: ColumnStore, at: number): void {
    const targets = this.#targets[slot]!;
    if (targets.length === 0) return;
    const { clock, signal } = this.#options;
    const form = this.#form;
    const ts = store.values[at]!;
    const nowMs = clock.now();
    const length = form.load(store, at, 0);
    for (const { key, sender } of targets) {
      const place = sender.reserve(nowMs, key, length, signal);
      form.write(sender.view, place, ts);
    }
    const known = this.node.interval.closeOf(close) - 1;
    if (known > this.#known[slot]!) this.#known[slot] = known;
  }

  /** W2, W3. */
  mark(through: Float64Array): void {
    const { clock, signal, source } = this.#options;
    for (const [slot, targets] of this.#targets.entries()) {
      const time = through[slot]!;
      if (targets.length === 0 || time <= this.#known[slot]!) continue;
      this.#known[slot] = time;
      for (const { key, sender } of targets) {
        const place = sender.reserve(clock.now(), key, forwardMarkBytes, signal);
        writeForwardMark(sender.view, place, time, source, this.#form.input);
      }
    }
  }
}
