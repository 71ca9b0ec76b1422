import {
  type FetchedBytes,
  type PartitionEnds,
  type ProducerIdentity,
  type Transport,
} from "../../contract/transport.ts";
import { assert } from "../../core/assert.ts";
import { systemClock } from "../../core/clock.ts";
import { hasCode, QmtlError } from "../../core/errors.ts";
import { type Graph } from "../../graph/graph.ts";
import { type StagedGraph, stagedOf } from "../../graph/stages.ts";
import { NodeProfile } from "../node-profile.ts";
import { BoardRow, boardSum } from "./board.ts";
import { LatencyLog } from "./latency-log.ts";
import { type LiveOrder, type Quarantine } from "./live-order.ts";
import {
  type Checkpoints,
  type LivePartition,
  LiveTask,
  type LiveTaskContext,
} from "./live-task.ts";
import { countsOf, ThreadMeter } from "./meters.ts";
import { DeadLetters } from "./output/dead-letters.ts";
import { forwardSource } from "./repartition/forward-form.ts";
import { ForwardSenders } from "./repartition/forward-senders.ts";
import { Forwarder } from "./repartition/forwarder.ts";
import { StageGate, stageDone } from "./repartition/stage-gate.ts";

/** Time for what was computed to be acknowledged once the run is stopped, ms. */
export const drainMsMax = 4_000;
/** The same once the loop has failed: what is on its way then is read back by the next owner. */
const settleMsMax = 2_000;

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
 *   V6  No thread forwards a record before every thread's tasks have their positions in the
 *       repartition topics; and a run that ends by `recordsMax` ends behind its last join.
 */
export class LiveLoop {
  readonly #order: LiveOrder;
  readonly #staged: StagedGraph;
  readonly #transport: Transport;
  readonly #checkpoints: Checkpoints | undefined;
  readonly #tasks: LiveTask[] = [];
  /** By topic and partition: several streams may read one topic. */
  readonly #byName = new Map<string, LivePartition[]>();
  /** Feeds that have gone back while a fetch was on its way: its answer is behind a gap. */
  readonly #stale = new Set<LivePartition>();
  readonly #rows: readonly BoardRow[];
  readonly #row: BoardRow;
  readonly #latency: LatencyLog | undefined;
  readonly #deadLetters: DeadLetters;
  readonly #meter: ThreadMeter | undefined;
  readonly #profile: NodeProfile | undefined;
  readonly #gate: StageGate;
  /** The ways into repartition topics, if there are any. */
  #forwards: ForwardSenders | undefined;
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
    this.#staged = stagedOf(graph);
    this.#transport = transport;
    this.#checkpoints = checkpoints;
    this.#rows = Array.from(
      { length: order.board.threads },
      (_, thread) => new BoardRow(order.board, thread),
    );
    this.#row = new BoardRow(order.board, order.thread);
    this.#gate = new StageGate(this.#row, this.#rows, systemClock);
    this.#latency = order.latency === undefined ? undefined : new LatencyLog(order.latency);
    this.#deadLetters = new DeadLetters(transport, this.#staged.graph);
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
    const context = await this.#contextOf(signal);
    // The deepest first: what has been forwarded is fetched before more of the inputs is.
    for (const stage of [...this.#staged.stages.keys()].toReversed()) {
      for (const partition of this.#order.partitions) {
        const task = new LiveTask(context, stage, partition);
        this.#tasks.push(task);
        for (const feed of task.feeds) {
          const name = `${partition} ${feed.topic}`;
          this.#byName.set(name, [...(this.#byName.get(name) ?? []), feed]);
        }
        await this.#restore(task, signal);
        // What a checkpoint brought back of nodes that are silent now is not to be gone on with.
        task.task.quarantine(this.#quarantinedIn(partition));
        for (const feed of task.feeds) feed.position = feed.reader.nextOffset;
      }
    }
    // A thread before this one may have counted records beyond the checkpoint: they come again.
    const inputs = this.#tasks.flatMap(({ feeds }) => feeds).filter(({ isInput }) => isInput);
    const taken = inputs.reduce((sum, { reader }) => sum + reader.counts.records, 0);
    this.#row.set("records", taken);
    if (this.#forwards !== undefined) await this.#gate.pass(stageDone.opened, signal); // V6
  }

  async #restore(task: LiveTask, signal: AbortSignal): Promise<void> {
    const start = async ({ topic, reader }: LivePartition): Promise<number> =>
      task.depth > 0
        ? (await this.#endsOf(topic, reader.partition, signal)).end
        : await this.#startOffset(topic, reader.partition, signal);
    if (this.#checkpoints !== undefined) await this.#checkpoints.restore(task, start, signal);
    else for (const feed of task.feeds) feed.reader.nextOffset = await start(feed);
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
    for (const { task, partition } of this.#tasks) {
      task.quarantine(this.#quarantinedIn(partition));
    }
  }

  async #contextOf(signal: AbortSignal): Promise<LiveTaskContext> {
    const { deployment, inputs, outputs, pace, run, state } = this.#order;
    const { forwards, graph } = this.#staged;
    const sends = outputs.length + forwards.length;
    const producer = await nameProducer(this.#transport, sends, signal);
    const source = forwardSource(state === undefined ? `${deployment} ${run}` : deployment);
    const forwarding =
      forwards.length === 0
        ? undefined
        : {
            graph,
            senders: new ForwardSenders(this.#transport, producer, pace),
            // All topics of a plan have equally many.
            partitions: await this.#transport.partitionsOf(inputs[0]!.topic, signal),
            source,
            clock: systemClock,
            signal: this.#sendSignal,
          };
    this.#forwards = forwarding?.senders;
    return {
      order: this.#order,
      staged: this.#staged,
      transport: this.#transport,
      producer,
      heartbeat: this.#row.heartbeat,
      profile: this.#profile,
      source,
      sendSignal: this.#sendSignal,
      quarantinedIn: (partition) => this.#quarantinedIn(partition),
      onDeadLetter: (stream, letter) => this.#deadLetters.add(stream, letter),
      onRow: (stream) => this.#latency?.probeOf(stream),
      onOutputs: (node, count) => {
        this.#row.add("outputs", count);
        this.#meter?.emitted(node.index, count);
      },
      forwarderOf: ({ nodes }) => {
        const own = forwards.filter(({ from }) => nodes.includes(from));
        return forwarding === undefined || own.length === 0
          ? undefined
          : new Forwarder(forwarding, own);
      },
    };
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

  async #startOffset(topic: string, partition: number, signal: AbortSignal): Promise<number> {
    const { offsetReset } = this.#order;
    if (typeof offsetReset === "number") {
      return await this.#transport.offsetAt(topic, partition, offsetReset, signal);
    }
    const ends = await this.#endsOf(topic, partition, signal);
    return offsetReset === "latest" ? ends.end : ends.start;
  }

  async #endsOf(topic: string, partition: number, signal: AbortSignal): Promise<PartitionEnds> {
    const [ends] = await this.#transport.endsOf(topic, [partition], signal);
    assert(ends !== undefined, "a transport answers for each partition");
    return ends;
  }

  async #loop(signal: AbortSignal): Promise<void> {
    let pending = this.#isDone() ? noAnswers : this.#fetch(signal);
    while (!signal.aborted && !this.#isDone()) {
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
      await this.#turn(answers);
      if (this.#quarantined.length > 0) await this.#release();
      this.#meter?.enter("fetch");
    }
    if (this.#forwards === undefined || signal.aborted) return;
    // Fetches never overlap; what this one brings is fetched once more if it is for a join.
    await this.#answersOf(pending, signal);
    await this.#drain(signal);
  }

  /**
   * V6: the last records go through the joins. Everything that goes to a depth is acknowledged when
   * the gate opens, so a thread that dies here leaves nothing that the others would have to wait for.
   */
  async #drain(signal: AbortSignal): Promise<void> {
    const depths = Math.max(...this.#staged.stages.map(({ depth }) => depth));
    for (let depth = 1; depth <= depths; depth += 1) {
      await this.#forwards?.idle();
      await this.#gate.pass(stageDone.opened + depth, signal);
      await this.#drainDepth(depth, signal);
    }
  }

  /** Takes what lies in the repartition topics that lead to `depth`; no more comes into them. */
  async #drainDepth(depth: number, signal: AbortSignal): Promise<void> {
    const own = this.#tasks.filter((task) => task.depth === depth).flatMap(({ feeds }) => feeds);
    const ends = await Promise.all(
      own.map(async ({ topic, reader }) => await this.#endsOf(topic, reader.partition, signal)),
    );
    for (;;) {
      const left = own.filter(({ reader }, i) => reader.nextOffset < ends[i]!.end);
      if (left.length === 0) return;
      for (const feed of left) feed.position = feed.reader.nextOffset;
      this.#stale.clear();
      await this.#turn(await this.#answersOf(this.#fetch(signal, left), signal));
    }
  }

  /** Computes on answers and sends what came of it. */
  async #turn(answers: readonly FetchedBytes[]): Promise<void> {
    this.#compute(answers);
    this.#meter?.enter("send");
    await this.#flush();
  }

  #isInput(topic: string): boolean {
    return this.#tasks.some(
      ({ depth, feeds }) => depth === 0 && feeds.some((feed) => feed.topic === topic),
    );
  }

  /** What is next of all feeds, or of `some`. */
  async #fetch(
    signal: AbortSignal,
    some?: readonly LivePartition[],
  ): Promise<readonly FetchedBytes[]> {
    const { fetchWaitMsMax, partitionBytesMax, fetchBytesMax } = this.#order.pace;
    const all = some === undefined ? [...this.#byName.values()] : some.map((feed) => [feed]);
    const feeds = all.map((readers) => readers.filter(({ isHeld }) => !isHeld));
    const open = feeds.filter((readers) => readers.length > 0);
    const positions = open.map((readers) => ({
      topic: readers[0]!.topic,
      partition: readers[0]!.reader.partition,
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
          `${error.message}; give offsetReset ("earliest", "latest" or a time in ms; --offset-reset on the command line) to go on from there`,
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
    const ends = await this.#endsOf(topic, partition, signal);
    // What was forwarded is read from the oldest on: its beginning is not the user's to choose.
    const offset = this.#isInput(topic)
      ? await this.#startOffset(topic, partition, signal)
      : ends.start;
    for (const live of this.#byName.get(`${partition} ${topic}`) ?? []) {
      if (live.position >= ends.start && live.position <= ends.end) continue;
      live.position = offset;
      live.reader.nextOffset = offset;
      this.#row.add("offsetResets", 1);
    }
  }

  #ahead(answer: FetchedBytes): void {
    for (const live of this.#readersOf(answer)) {
      live.position = Math.max(live.position, answer.nextOffset);
    }
  }

  /** Who takes an answer: not a feed that is held, nor one that has gone back behind it. */
  #readersOf({ partition, topic }: FetchedBytes): readonly LivePartition[] {
    const readers = this.#byName.get(`${partition} ${topic}`) ?? [];
    return readers.filter((feed) => !feed.isHeld && !this.#stale.has(feed));
  }

  #compute(answers: readonly FetchedBytes[]): void {
    const row = this.#row;
    const started = performance.now();
    for (const answer of answers) {
      row.add("bytes", answer.bytes.length);
      row.partition = answer.partition;
      for (const live of this.#readersOf(answer)) {
        const { counts } = live.reader;
        const before = countsOf(live.reader);
        live.reader.consume(answer);
        live.meter?.took(live.reader, answer, before);
        if (live.isInput) row.add("records", counts.records - before.records);
        row.add("slowPath", counts.slowPath - before.slowPath);
        row.add("deadLetters", counts.deadLetters - before.deadLetters);
        row.add("decodeMs", counts.decodeMs - before.decodeMs);
      }
    }
    this.#stale.clear();
    for (const task of this.#tasks) {
      row.partition = task.partition;
      row.heartbeat[0] = -1;
      for (const feed of task.settle()) {
        feed.position = feed.reader.nextOffset;
        this.#stale.add(feed);
      }
    }
    row.heartbeat[0] = -1;
    for (const { feeds } of this.#tasks) {
      for (const { meter, reader } of feeds) meter?.look(reader);
    }
    if (answers.length === 0) return;
    if (row.get("firstRecordMs") === 0) row.set("firstRecordMs", now());
    row.set("lastRecordMs", now());
    row.add("computeMs", performance.now() - started);
  }

  async #flush(): Promise<void> {
    const started = performance.now();
    this.#forwards?.seal(this.#sendSignal);
    await this.#forwards?.room();
    for (const { outputs } of this.#tasks) {
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
      this.#checkpoints.take(this.#tasks, this.#sendSignal);
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
    await this.#forwards?.idle();
    for (const { outputs } of this.#tasks) {
      for (const output of outputs) await output.idle();
    }
    await this.#checkpoints?.commit(this.#tasks, this.#sendSignal);
  }

  /** V4: only what is on its way is waited for; it fails or not, the loop's own failure counts. */
  async #settle(): Promise<void> {
    this.#limitSending(settleMsMax);
    const sends = this.#tasks.flatMap(({ outputs }) => outputs);
    await Promise.allSettled([
      this.#forwards?.idle(),
      ...sends.map(async (output) => await output.idle()),
    ]);
  }
}

/** True if `error` is only what the signal's end looks like from inside a wait. */
function isStop(error: unknown, signal: AbortSignal): boolean {
  return signal.aborted && (error === signal.reason || hasCode(error, "ABORTED"));
}

const noAnswers: Promise<readonly FetchedBytes[]> = Promise.resolve([]);

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
