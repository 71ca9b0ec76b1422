import { KeyTable } from "../../codec/key-table.ts";
import { type ProducerIdentity, type Transport } from "../../contract/transport.ts";
import { type Graph, type GraphNode } from "../../graph/graph.ts";
import { type Stage, type StagedGraph } from "../../graph/stages.ts";
import { type CheckpointPart, KeysPart } from "../checkpoint/parts.ts";
import { type NodeProfile } from "../node-profile.ts";
import { type OutputSink } from "../task/node-output.ts";
import { type StreamLoop } from "../task/stream-loop.ts";
import { Task } from "../task/task.ts";
import { type LiveOrder } from "./live-order.ts";
import { PartitionMeter } from "./meters.ts";
import { OutputPartition } from "./output/output-partition.ts";
import { type DeadLetter, type PartitionReader, PartitionTask } from "./partition-task.ts";
import { ForwardReader } from "./repartition/forward-reader.ts";
import { type Forwarder } from "./repartition/forwarder.ts";
import { PendingHold } from "./repartition/pending-hold.ts";
import { StageProgress } from "./repartition/stage-progress.ts";

/** Bars by which a join may hold more than `maxPendingBars`: what a held topic had on its way. */
const overshootMax = 1_000_000;

/** A partition of a topic that a task reads. */
export interface LivePartition {
  readonly topic: string;
  readonly reader: PartitionReader;
  /** False for a repartition topic. */
  readonly isInput: boolean;
  readonly meter?: PartitionMeter | undefined;
  /** True: nothing is fetched from it, and what is on its way is not taken. */
  isHeld: boolean;
  /** Offset of the next fetch: ahead of `reader.nextOffset` by what is under way. */
  position: number;
}

/** What all tasks of a thread have in common. */
export interface LiveTaskContext {
  readonly order: LiveOrder;
  readonly staged: StagedGraph;
  readonly transport: Transport;
  readonly producer: ProducerIdentity | undefined;
  readonly heartbeat: Int32Array;
  readonly profile: NodeProfile | undefined;
  /** Whose plan it is, as repartition topics say it. */
  readonly source: number;
  readonly sendSignal: AbortSignal;
  readonly quarantinedIn: (partition: number) => ReadonlySet<number>;
  readonly onDeadLetter: (stream: GraphNode, letter: DeadLetter) => void;
  readonly onRow: (stream: GraphNode) => ((loop: StreamLoop, at: number) => void) | undefined;
  readonly onOutputs: (node: GraphNode, count: number) => void;
  /** The source side of the joins that read from the stage, if any do. */
  readonly forwarderOf: (stage: Stage) => Forwarder | undefined;
}

/**
 * A task: one stage in one partition. It owns that partition of all its topics, and their positions,
 * its windows and its outputs move together in its checkpoints.
 */
export class LiveTask {
  /** Index of the stage. */
  readonly stage: number;
  readonly depth: number;
  readonly partition: number;
  readonly task: Task;
  /** One a topic that it reads; several streams may read one. */
  readonly feeds: readonly LivePartition[];
  readonly outputs: readonly OutputPartition[];
  /** What joins in it or behind it wait for; undefined if there are none. */
  readonly progress: StageProgress | undefined;
  readonly #forwarder: Forwarder | undefined;
  /** Holds feeds whose records wait too long; gives those that are to be fetched again. */
  readonly #hold: (() => readonly LivePartition[]) | undefined;

  constructor(context: LiveTaskContext, stage: number, partition: number) {
    const builder = new LiveTaskBuilder(context, stage, partition);
    const built = builder.build();
    this.stage = stage;
    this.partition = partition;
    this.depth = builder.stage.depth;
    this.task = built.task;
    this.feeds = built.feeds;
    this.outputs = built.outputs;
    this.progress = built.progress;
    this.#forwarder = builder.forwarder;
    this.#hold = built.hold;
  }

  /** All that a checkpoint keeps of it. */
  parts(): readonly CheckpointPart[] {
    return [
      ...this.feeds.map(({ reader }) => new KeysPart(reader.keys)),
      ...this.task.parts(),
      ...(this.progress?.parts() ?? []),
    ];
  }

  /**
   * The end of each output topic from which a restart has to read back, if it begins here: resolves
   * when everything sealed by now is acknowledged.
   *
   * @throws the failure of a batch.
   */
  async acknowledged(): Promise<Readonly<Record<string, number>>> {
    const forwarded = this.#forwarder?.barrier();
    const ends = this.outputs.map(async (output) => {
      return [output.target.topic, await output.barrier()] as const;
    });
    const [all] = await Promise.all([Promise.all(ends), forwarded]);
    return Object.fromEntries(all);
  }

  /**
   * At the end of a turn: runs the joins for what it decided, and says how far it has come.
   *
   * @returns the feeds that go back: they are to be fetched from their reader's `nextOffset`.
   */
  settle(): readonly LivePartition[] {
    if (this.progress === undefined) return [];
    this.progress.advance();
    this.task.flush();
    this.#forwarder?.mark(this.progress);
    return this.#hold?.() ?? [];
  }
}

/** Where state and position are kept; without one, a run starts where `offsetReset` says. */
export interface Checkpoints {
  /**
   * Restores a task. Where nothing is stored its feeds begin at `start`, and that beginning is
   * committed before anything is sent.
   */
  restore(
    task: LiveTask,
    start: (feed: LivePartition) => Promise<number>,
    signal: AbortSignal,
  ): Promise<void>;
  /**
   * Called at a batch boundary, when it is due: copies the state and returns; commits as soon as
   * the outputs are acknowledged. @throws the failure of an earlier commit.
   */
  take(tasks: readonly LiveTask[], signal: AbortSignal): void;
  /** Commits all of it, and waits until that is done. */
  commit(tasks: readonly LiveTask[], signal: AbortSignal): Promise<void>;
}

interface Built extends Pick<LiveTask, "task" | "feeds"> {
  readonly hold?: () => readonly LivePartition[];
}

class LiveTaskBuilder {
  readonly stage: Stage;
  readonly forwarder: Forwarder | undefined;
  readonly #context: LiveTaskContext;
  readonly #partition: number;
  readonly #graph: Graph;
  readonly #nodes: ReadonlySet<number>;
  readonly #outputs = new Map<number, OutputPartition>();
  #progress: StageProgress | undefined;

  constructor(context: LiveTaskContext, stage: number, partition: number) {
    this.#context = context;
    this.#partition = partition;
    this.#graph = context.staged.graph;
    this.stage = context.staged.stages[stage]!;
    this.#nodes = new Set(this.stage.nodes);
    this.forwarder = context.forwarderOf(this.stage);
  }

  build(): Built & Pick<LiveTask, "outputs" | "progress"> {
    const streams = this.stage.streams.map((index) => this.#graph.nodes[index]!);
    const built =
      streams.length === 1 && this.stage.depth === 0
        ? this.#buildSingle(streams[0]!)
        : this.#buildShared(streams);
    return { ...built, outputs: [...this.#outputs.values()], progress: this.#progress };
  }

  /** One stream and what hangs on it: its task is the partition's own. */
  #buildSingle(stream: GraphNode): Built {
    const reader = this.#readerOf(stream, undefined);
    this.#publish(() => reader.keys);
    this.#measureProgress(reader.task);
    return { task: reader.task, feeds: [this.#feedOf(stream, reader)] };
  }

  /** Several streams, joined by key: one task takes them all. */
  #buildShared(streams: readonly GraphNode[]): Built {
    const { order, heartbeat, profile } = this.#context;
    const task = new Task({
      graph: this.#graph,
      nodes: this.#nodes,
      taps: this.#taps,
      owns: () => true,
      sink: this.#sink,
      quarantined: this.#context.quarantinedIn(this.#partition),
      isPoisoning: order.isPoisoning,
      heartbeat,
      profile,
      pendingRowsMax: order.pace.maxPendingBars + overshootMax,
    });
    this.#publish((node) => KeyTable.of(task.keysOf(node.index)));
    this.#measureProgress(task);
    if (this.stage.depth > 0) {
      const feeds = this.#forwardFeeds(task);
      return { task, feeds, hold: () => feeds.filter(goesBack) };
    }
    const feeds = streams.map((stream) => this.#feedOf(stream, this.#readerOf(stream, task)));
    return { task, feeds, hold: this.#holdOf(task, feeds) };
  }

  /** Topics that are joined as they are: one that is far ahead of the others is paused. */
  #holdOf(task: Task, feeds: readonly LivePartition[]): () => readonly LivePartition[] {
    const max = this.#context.order.pace.maxPendingBars;
    const hold = new PendingHold(task, this.#progress!, { streams: this.stage.streams, max });
    return () => {
      const held = hold.look();
      const freed = feeds.filter(({ isHeld, reader }) => isHeld && !held.has(streamOf(reader)));
      for (const feed of feeds) {
        feed.isHeld = held.has(streamOf(feed.reader));
        feed.meter?.waits(feed.isHeld ? hold.waiting : undefined);
      }
      return freed;
    };
  }

  #readerOf(stream: GraphNode, shared: Task | undefined): PartitionTask {
    const { order, heartbeat, profile, onDeadLetter, onRow } = this.#context;
    return new PartitionTask({
      graph: this.#graph,
      stream,
      partition: this.#partition,
      quarantined: this.#context.quarantinedIn(this.#partition),
      isPoisoning: order.isPoisoning,
      heartbeat,
      profile,
      onDeadLetter: (letter) => onDeadLetter(stream, letter),
      onRow: onRow(stream),
      sink: () => this.#sink,
      shared,
      own: { nodes: this.#nodes, taps: this.#taps },
      onMark: (time) => this.#progress?.markAll(stream.index, time),
    });
  }

  /** One feed a join: its topic brings the records of all its inputs. */
  #forwardFeeds(task: Task): readonly LivePartition[] {
    const { order, source, staged } = this.#context;
    const own = staged.forwards.filter(({ join }) => this.#nodes.has(join));
    return [...Map.groupBy(own, ({ join }) => join)].map(([join, forwards]) => {
      const loops = forwards.map(({ to }) => task.streamOf(to));
      const reader = new ForwardReader({
        partition: this.#partition,
        source,
        keys: task.keysOf(join),
        loops,
        progress: this.#progress!,
        join: task.gates.find(({ node }) => node === join)!,
        pendingMax: order.pace.maxPendingBars,
      });
      return this.#feedOf(loops[0]!.node, reader);
    });
  }

  #feedOf(stream: GraphNode, reader: PartitionReader): LivePartition {
    const { meters, inputs } = this.#context.order;
    const input = inputs.findIndex((own) => own.stream === stream.index);
    const topic = inputs[input]!.topic;
    const meter =
      meters === undefined ? undefined : new PartitionMeter(meters, input, this.#partition);
    return { topic, reader, isInput: this.stage.depth === 0, isHeld: false, meter, position: 0 };
  }

  #publish(keysOf: (node: GraphNode) => KeyTable): void {
    const { order, producer, transport } = this.#context;
    for (const { node: index, topic } of order.outputs) {
      if (!this.#nodes.has(index)) continue;
      const node = this.#graph.nodes[index]!;
      const { batchBytesMax, compression } = order.pace;
      const partition = this.#partition;
      const target = { node, topic, partition, keys: keysOf(node), batchBytesMax, compression };
      this.#outputs.set(index, new OutputPartition(target, transport, producer));
    }
  }

  /** Nodes on one stream alone need no progress, unless a join behind them does. */
  #measureProgress(task: Task): void {
    if (!task.hasJoins && this.forwarder === undefined) return;
    this.#progress = new StageProgress(task, this.stage.streams);
  }

  readonly #taps = (node: GraphNode, keys: readonly string[]) =>
    this.forwarder?.tapsOf(node, keys) ?? [];

  readonly #sink: OutputSink = (node, rows) => {
    const { onOutputs, profile, sendSignal } = this.#context;
    onOutputs(node, rows.count);
    const output = this.#outputs.get(node.index);
    if (output === undefined) return;
    const startedMs = profile?.now();
    output.add(rows, sendSignal);
    profile?.since("encodeMs", startedMs);
  };
}

/** True if a reader has gone back to records that it had left out. */
function goesBack({ meter, reader }: LivePartition): boolean {
  const isBack = reader.rewind?.() === true;
  meter?.waits(reader.waiting);
  return isBack;
}

/** Index of the stream that a topic is read as. */
function streamOf({ loops }: PartitionReader): number {
  return loops[0]!.node.index;
}
