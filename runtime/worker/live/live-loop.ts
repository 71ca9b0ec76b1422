import {
  type FetchedBytes,
  type ProducerIdentity,
  type Transport,
} from "../../contract/transport.ts";
import { assert } from "../../core/assert.ts";
import { hasCode, QmtlError } from "../../core/errors.ts";
import { type Graph, type GraphNode } from "../../graph/graph.ts";
import { NodeProfile } from "../node-profile.ts";
import { type OutputSink } from "../task/node-output.ts";
import { type StreamLoop } from "../task/stream-loop.ts";
import { BoardRow, boardSum } from "./board.ts";
import { LatencyLog } from "./latency-log.ts";
import { type LiveOrder, type Quarantine } from "./live-order.ts";
import { countsOf, PartitionMeter, ThreadMeter } from "./meters.ts";
import { DeadLetters } from "./output/dead-letters.ts";
import { OutputPartition } from "./output/output-partition.ts";
import { PartitionTask } from "./partition-task.ts";

/** Time for what was computed to be acknowledged once the run is stopped, ms. */
export const drainMsMax = 4_000;
/** The same once the loop has failed: what is on its way then is read back by the next owner. */
const settleMsMax = 2_000;

/** A partition of an input topic with what it feeds. */
export interface LivePartition {
  readonly topic: string;
  readonly task: PartitionTask;
  readonly outputs: readonly OutputPartition[];
  readonly meter?: PartitionMeter | undefined;
  /** Offset of the next fetch: ahead of `task.nextOffset` by what is under way. */
  position: number;
}

/** Where state and position are kept; without one, a run starts where `offsetReset` says. */
export interface Checkpoints {
  /**
   * Restores a partition. Where nothing is stored it begins at `start`, and that beginning is
   * committed before anything is sent.
   */
  restore(
    partition: LivePartition,
    start: () => Promise<number>,
    signal: AbortSignal,
  ): Promise<void>;
  /**
   * Called at a batch boundary, when it is due: copies the state and returns; commits as soon as
   * the outputs are acknowledged. @throws the failure of an earlier commit.
   */
  take(partitions: readonly LivePartition[], signal: AbortSignal): void;
  /** Commits all of it, and waits until that is done. */
  commit(partitions: readonly LivePartition[], signal: AbortSignal): Promise<void>;
}

/** What a thread has found out. */
export interface LiveResult {
  readonly latencies: Float64Array;
}

/**
 * The loop of one thread: fetch, walk, compute, send, checkpoint. It owns its partitions alone and
 * fetches them over its own connection, so no record crosses a thread.
 *
 *   V1  While one answer is computed on, the next is on its way.
 *   V2  The loop does not fetch further while an output partition has no room: back pressure.
 *   V3  When the signal aborts, nothing more is fetched; what was computed is sent and committed
 *       once, within `drainMsMax`.
 *   V4  After a failure nothing is committed: the state may hold half a batch.
 *   V5  A quarantine ends at a committed position: whoever restores from it has no record left
 *       that came before the release, so no output of such a record follows a later one.
 */
export class LiveLoop {
  readonly #order: LiveOrder;
  readonly #graph: Graph;
  readonly #transport: Transport;
  readonly #checkpoints: Checkpoints | undefined;
  readonly #partitions: LivePartition[] = [];
  /** By topic and partition: several streams may read one topic. */
  readonly #byName = new Map<string, LivePartition[]>();
  readonly #rows: readonly BoardRow[];
  readonly #row: BoardRow;
  readonly #latency: LatencyLog | undefined;
  readonly #deadLetters: DeadLetters;
  readonly #meter: ThreadMeter | undefined;
  readonly #profile: NodeProfile | undefined;
  #checkpointedMs = 0;
  #quarantined: readonly Quarantine[];

  constructor(
    order: LiveOrder,
    graph: Graph,
    transport: Transport,
    checkpoints: Checkpoints | undefined,
  ) {
    this.#order = order;
    this.#quarantined = order.quarantined;
    this.#graph = graph;
    this.#transport = transport;
    this.#checkpoints = checkpoints;
    this.#rows = Array.from(
      { length: order.board.threads },
      (_, thread) => new BoardRow(order.board, thread),
    );
    this.#row = new BoardRow(order.board, order.thread);
    this.#latency = order.latency === undefined ? undefined : new LatencyLog(order.latency);
    this.#deadLetters = new DeadLetters(transport, graph);
    const { meters, thread, profile } = order;
    this.#meter = meters === undefined ? undefined : new ThreadMeter(meters, thread);
    this.#profile = profile === undefined ? undefined : new NodeProfile(profile);
  }

  /**
   * Runs until the signal aborts or `recordsMax` is reached.
   *
   * @throws QmtlError of transport, state or compute; after the signal has aborted, only if what
   *   was computed could not be sent and committed any more.
   */
  async run(signal: AbortSignal): Promise<LiveResult> {
    const onStop = (): void => this.#limitSending(drainMsMax);
    signal.addEventListener("abort", onStop, { once: true });
    try {
      await this.#open(signal);
      this.#checkpointedMs = performance.now();
      if (this.#row.get("firstFetchMs") === 0) this.#row.set("firstFetchMs", now());
      await this.#loop(signal);
      await this.#finish();
    } catch (error) {
      if (!isStop(error, signal)) {
        this.#row.fail();
        await this.#settle();
        throw error;
      }
    } finally {
      signal.removeEventListener("abort", onStop);
      clearTimeout(this.#sendTimer);
    }
    return { latencies: this.#latency?.values() ?? new Float64Array(0) };
  }

  async #open(signal: AbortSignal): Promise<void> {
    const producer = await nameProducer(this.#transport, this.#order.outputs.length, signal);
    for (const { stream, topic } of this.#order.inputs) {
      for (const partition of this.#order.partitions) {
        const live = this.#makePartition(this.#graph.nodes[stream]!, topic, partition, producer);
        this.#partitions.push(live);
        const name = `${partition} ${topic}`;
        this.#byName.set(name, [...(this.#byName.get(name) ?? []), live]);
        const start = async (): Promise<number> =>
          await this.#startOffset(topic, partition, signal);
        if (this.#checkpoints === undefined) live.task.nextOffset = await start();
        else await this.#checkpoints.restore(live, start, signal);
        // What a checkpoint brought back of nodes that are silent now is not to be gone on with.
        live.task.task.quarantine(this.#quarantinedIn(partition));
        live.position = live.task.nextOffset;
      }
    }
    // A thread before this one may have counted records beyond the checkpoint: they come again.
    const taken = this.#partitions.reduce((sum, { task }) => sum + task.counts.records, 0);
    this.#row.set("records", taken);
  }

  #quarantinedIn(partition: number): ReadonlySet<number> {
    const own = this.#quarantined.filter((place) => place.partition === partition);
    return new Set(own.map(({ node }) => node));
  }

  /** V5: brings back nodes whose time is over. */
  async #release(): Promise<void> {
    const nowMs = Date.now();
    const left = this.#quarantined.filter(({ untilMs }) => untilMs > nowMs);
    if (left.length === this.#quarantined.length) return;
    await this.#finish();
    this.#quarantined = left;
    for (const { task } of this.#partitions) {
      task.task.quarantine(this.#quarantinedIn(task.partition));
    }
  }

  #makePartition(
    stream: GraphNode,
    topic: string,
    partition: number,
    producer: ProducerIdentity | undefined,
  ): LivePartition {
    const outputs = new Map<number, OutputPartition>();
    const task = new PartitionTask({
      graph: this.#graph,
      stream,
      partition,
      quarantined: this.#quarantinedIn(partition),
      isPoisoning: this.#order.isPoisoning,
      heartbeat: this.#row.heartbeat,
      profile: this.#profile,
      onDeadLetter: (letter) => this.#deadLetters.add(stream, letter),
      onRow: this.#rowProbe(stream),
      sink: (): OutputSink => (node, rows) => {
        this.#row.add("outputs", rows.count);
        this.#meter?.emitted(node.index, rows.count);
        const output = outputs.get(node.index);
        if (output === undefined) return;
        const startedMs = this.#profile?.now();
        output.add(rows, this.#sendSignal);
        this.#profile?.since("encodeMs", startedMs);
      },
    });
    for (const { node, topic: output } of this.#order.outputs) {
      if (rootOf(this.#graph, node) !== stream.index) continue;
      const target = {
        node: this.#graph.nodes[node]!,
        topic: output,
        partition,
        keys: task.keys,
        batchBytesMax: this.#order.pace.batchBytesMax,
        compression: this.#order.pace.compression,
      };
      outputs.set(node, new OutputPartition(target, this.#transport, producer));
    }
    const { meters, inputs } = this.#order;
    const input = inputs.findIndex((own) => own.stream === stream.index);
    const meter = meters === undefined ? undefined : new PartitionMeter(meters, input, partition);
    return { topic, task, outputs: [...outputs.values()], meter, position: 0 };
  }

  /** Sends go on while the loop drains: they have their own signal. */
  readonly #sendEnd = new AbortController();
  #sendTimer: ReturnType<typeof setTimeout> | undefined;

  /** What is not sent within `ms` is given up. */
  #limitSending(ms: number): void {
    this.#sendTimer ??= setTimeout(() => {
      const found = `not acknowledged within ${ms} ms after the loop had ended`;
      this.#sendEnd.abort(
        new QmtlError(
          "TRANSPORT_UNAVAILABLE",
          `Cannot send the last outputs: they are ${found}, wanted a transport and a state store that answer`,
        ),
      );
    }, ms);
  }

  get #sendSignal(): AbortSignal {
    return this.#sendEnd.signal;
  }

  #rowProbe(stream: GraphNode): ((loop: StreamLoop, at: number) => void) | undefined {
    const latency = this.#latency;
    if (latency === undefined) return undefined;
    const column = Object.keys(stream.schema).indexOf(latency.probe.field) + 1;
    if (column === 0) {
      throw new QmtlError(
        "FIELD_UNKNOWN",
        `Cannot measure latency: "${stream.name}" has no field "${latency.probe.field}"`,
      );
    }
    return (loop, at) => latency.add(loop.store.values[at + column * loop.store.stride]!);
  }

  async #startOffset(topic: string, partition: number, signal: AbortSignal): Promise<number> {
    const { offsetReset } = this.#order;
    if (typeof offsetReset === "number") {
      return await this.#transport.offsetAt(topic, partition, offsetReset, signal);
    }
    const [ends] = await this.#transport.endsOf(topic, [partition], signal);
    assert(ends !== undefined, "a transport answers for each partition");
    return offsetReset === "latest" ? ends.end : ends.start;
  }

  async #loop(signal: AbortSignal): Promise<void> {
    if (this.#isDone()) return;
    let pending = this.#fetch(signal);
    while (!signal.aborted) {
      const started = performance.now();
      const answers = await this.#answersOf(pending, signal);
      this.#row.add("fetchMs", performance.now() - started);
      this.#row.beat();
      this.#meter?.enter("compute");
      for (const answer of answers) this.#ahead(answer);
      // V1: the answers stay valid until the fetch after this one.
      pending = this.#fetch(signal);
      // Its failure is met where it is awaited; if the loop ends before, closing the transport ends it.
      pending.catch(() => undefined);
      this.#compute(answers);
      this.#meter?.enter("send");
      await this.#flush();
      if (this.#quarantined.length > 0) await this.#release();
      this.#meter?.enter("fetch");
      if (this.#isDone()) break;
    }
  }

  async #fetch(signal: AbortSignal): Promise<readonly FetchedBytes[]> {
    const { fetchWaitMsMax, partitionBytesMax, fetchBytesMax } = this.#order.pace;
    const positions = [...this.#byName.values()].map((readers) => ({
      topic: readers[0]!.topic,
      partition: readers[0]!.task.partition,
      offset: Math.min(...readers.map(({ position }) => position)),
    }));
    return await this.#transport.fetch(
      positions,
      { waitMsMax: fetchWaitMsMax, partitionBytesMax, bytesMax: fetchBytesMax },
      signal,
    );
  }

  /** What the fetch brings; nothing if a position was lost and `offsetReset` has moved it. */
  async #answersOf(
    pending: Promise<readonly FetchedBytes[]>,
    signal: AbortSignal,
  ): Promise<readonly FetchedBytes[]> {
    try {
      return await pending;
    } catch (error) {
      if (isStop(error, signal)) return [];
      if (!hasCode(error, "OFFSET_OUT_OF_RANGE")) throw error;
      if (this.#order.offsetReset === "fail") {
        throw new QmtlError(
          "OFFSET_OUT_OF_RANGE",
          `${error.message}; give offsetReset ("earliest", "latest" or a time in ms) to go on from there`,
          error.details,
          error,
        );
      }
      await this.#resetPosition(error, signal);
      return [];
    }
  }

  /** Moves the lost position of a partition, and counts it: what lay between is gone. */
  async #resetPosition({ details }: QmtlError, signal: AbortSignal): Promise<void> {
    const topic = String(details["topic"]);
    const partition = Number(details["partition"]);
    const [ends] = await this.#transport.endsOf(topic, [partition], signal);
    const offset = await this.#startOffset(topic, partition, signal);
    for (const live of this.#byName.get(`${partition} ${topic}`) ?? []) {
      if (ends !== undefined && live.position >= ends.start && live.position <= ends.end) continue;
      live.position = offset;
      live.task.nextOffset = offset;
      this.#row.add("offsetResets", 1);
    }
  }

  #ahead(answer: FetchedBytes): void {
    for (const live of this.#byName.get(`${answer.partition} ${answer.topic}`) ?? []) {
      live.position = Math.max(live.position, answer.nextOffset);
    }
  }

  #compute(answers: readonly FetchedBytes[]): void {
    const row = this.#row;
    const started = performance.now();
    for (const answer of answers) {
      row.add("bytes", answer.bytes.length);
      row.partition = answer.partition;
      for (const live of this.#byName.get(`${answer.partition} ${answer.topic}`) ?? []) {
        const { counts } = live.task;
        const before = countsOf(live.task);
        live.task.consume(answer);
        live.meter?.took(live.task, answer, before);
        row.add("records", counts.records - before.records);
        row.add("slowPath", counts.slowPath - before.slowPath);
        row.add("deadLetters", counts.deadLetters - before.deadLetters);
      }
    }
    row.heartbeat[0] = -1;
    for (const { meter, task } of this.#partitions) meter?.look(task);
    if (answers.length === 0) return;
    if (row.get("firstRecordMs") === 0) row.set("firstRecordMs", now());
    row.set("lastRecordMs", now());
    row.add("computeMs", performance.now() - started);
  }

  async #flush(): Promise<void> {
    const started = performance.now();
    for (const { outputs } of this.#partitions) {
      for (const output of outputs) {
        const startedMs = this.#profile?.now();
        output.seal(this.#sendSignal);
        this.#profile?.since("sealMs", startedMs);
        await output.room();
      }
    }
    await this.#deadLetters.flush(this.#sendSignal);
    const due = started - this.#checkpointedMs >= this.#order.pace.checkpointMs;
    if (this.#checkpoints !== undefined && due) {
      this.#checkpointedMs = started;
      this.#checkpoints.take(this.#partitions, this.#sendSignal);
      this.#row.add("checkpoints", 1);
      this.#row.set("checkpointMs", performance.now() - started);
    }
    this.#row.add("flushMs", performance.now() - started);
  }

  #isDone(): boolean {
    const { recordsMax } = this.#order;
    return recordsMax !== undefined && boardSum(this.#rows, "records") >= recordsMax;
  }

  /** Waits for what was sent, then for a checkpoint of all of it. */
  async #finish(): Promise<void> {
    for (const { outputs } of this.#partitions) {
      for (const output of outputs) await output.idle();
    }
    await this.#checkpoints?.commit(this.#partitions, this.#sendSignal);
  }

  /** V4: only what is on its way is waited for; it fails or not, the loop's own failure counts. */
  async #settle(): Promise<void> {
    this.#limitSending(settleMsMax);
    await Promise.allSettled(
      this.#partitions.flatMap(({ outputs }) => outputs.map(async (output) => await output.idle())),
    );
  }
}

/** True if `error` is only what the signal's end looks like from inside a wait. */
function isStop(error: unknown, signal: AbortSignal): boolean {
  return signal.aborted && (error === signal.reason || hasCode(error, "ABORTED"));
}

/** The stream that a node hangs on; live nodes hang on one. */
function rootOf(graph: Graph, node: number): number {
  let at = node;
  for (;;) {
    const input = graph.nodes[at]?.inputs[0];
    if (input === undefined) return at;
    at = input.from;
  }
}

/** A producer's name, where the transport gives one and something is published. */
async function nameProducer(
  transport: Transport,
  outputs: number,
  signal: AbortSignal,
): Promise<ProducerIdentity | undefined> {
  return outputs === 0 ? undefined : await transport.initProducer?.(signal);
}

/** Wall-clock ms with fractions: comparable between threads. */
function now(): number {
  return performance.timeOrigin + performance.now();
}
