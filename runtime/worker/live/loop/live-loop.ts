import { type FetchedBytes, type Transport } from "../../../contract/transport.ts";
import { systemClock } from "../../../core/clock.ts";
import { isStop } from "../../../core/errors.ts";
import { type Graph } from "../../../graph/graph.ts";
import { type StagedGraph, stagedOf } from "../../../graph/stages.ts";
import { NodeProfile } from "../../node-profile.ts";
import { BoardRow, boardSum } from "../board.ts";
import { LatencyLog } from "../latency-log.ts";
import { type LiveOrder } from "../live-order.ts";
import { type Checkpoints, type LiveTask } from "../live-task.ts";
import { countsOf, ThreadMeter } from "../meters.ts";
import { DeadLetters } from "../output/dead-letters.ts";
import { type ForwardSenders } from "../repartition/forward-senders.ts";
import { StageGate, stageDone } from "../repartition/stage-gate.ts";
import { FeedPositions } from "./feed-positions.ts";
import { drainJoins } from "./join-drain.ts";
import { LoopSends } from "./loop-sends.ts";
import { type OpenTasks, openTasks } from "./open-tasks.ts";
import { Quarantines } from "./quarantines.ts";
import { drainMsMax, SendDeadline, settleMsMax } from "./send-deadline.ts";

/** What a thread has found out. */
export interface LiveResult {
  readonly latencies: Float64Array;
}

/** What the loop works on once it is open. */
interface Work extends OpenTasks {
  readonly sends: LoopSends;
}

/**
 * The loop of one thread: fetch, walk, compute, send, checkpoint. It owns its partitions alone and
 * fetches them over its own connection, so no record crosses a thread.
 *
 *   V1  While one answer is computed on, the next is on its way.
 *   V2  The loop does not fetch further while an output partition has no room: back pressure.
 *   V3  When the signal aborts, nothing more is fetched; what was computed is sent and committed
 *       once, within `drainMsMax`.
 *
 * V4, what a failure leaves: `LoopSends`. V5, the end of a quarantine: `Quarantines`. V6, the
 * beginning and the end of a run with repartitions: `drainJoins`.
 */
export class LiveLoop {
  readonly #order: LiveOrder;
  readonly #staged: StagedGraph;
  readonly #transport: Transport;
  readonly #checkpoints: Checkpoints | undefined;
  readonly #rows: readonly BoardRow[];
  readonly #row: BoardRow;
  readonly #positions: FeedPositions;
  readonly #quarantines: Quarantines;
  readonly #deadline = new SendDeadline();
  readonly #gate: StageGate;
  readonly #latency: LatencyLog | undefined;
  readonly #meter: ThreadMeter | undefined;
  readonly #profile: NodeProfile | undefined;

  constructor(
    order: LiveOrder,
    graph: Graph,
    transport: Transport,
    checkpoints: Checkpoints | undefined,
  ) {
    this.#order = order;
    this.#staged = stagedOf(graph);
    this.#transport = transport;
    this.#checkpoints = checkpoints;
    this.#rows = Array.from(
      { length: order.board.threads },
      (_, thread) => new BoardRow(order.board, thread),
    );
    this.#row = new BoardRow(order.board, order.thread);
    this.#positions = new FeedPositions({ order, transport, row: this.#row });
    this.#quarantines = new Quarantines(order.quarantined);
    this.#gate = new StageGate(this.#row, this.#rows, systemClock);
    const { latency, meters, thread, profile } = order;
    this.#latency = latency === undefined ? undefined : new LatencyLog(latency);
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
    const onStop = (): void => this.#deadline.begin(drainMsMax);
    signal.addEventListener("abort", onStop, { once: true });
    let work: Work | undefined;
    try {
      work = await this.#open(signal);
      if (this.#row.get("firstFetchMs") === 0) this.#row.set("firstFetchMs", now());
      await this.#loop(work, signal);
      await work.sends.finish();
    } catch (error) {
      if (!isStop(error, signal)) {
        this.#row.fail();
        this.#deadline.begin(settleMsMax);
        await work?.sends.settle();
        throw error;
      }
    } finally {
      signal.removeEventListener("abort", onStop);
      this.#deadline.close();
    }
    return { latencies: this.#latency?.values() ?? new Float64Array(0) };
  }

  async #open(signal: AbortSignal): Promise<Work> {
    const parts = {
      order: this.#order,
      staged: this.#staged,
      transport: this.#transport,
      checkpoints: this.#checkpoints,
      positions: this.#positions,
      quarantines: this.#quarantines,
      deadLetters: new DeadLetters(this.#transport, this.#staged.graph),
      row: this.#row,
      latency: this.#latency,
      meter: this.#meter,
      profile: this.#profile,
      signal: this.#deadline.signal,
    };
    const open = await openTasks(parts, signal);
    if (open.forwards !== undefined) await this.#gate.pass(stageDone.opened, signal); // V6
    const { pace } = this.#order;
    return { ...open, sends: new LoopSends({ ...parts, ...open, pace }) };
  }

  async #loop(work: Work, signal: AbortSignal): Promise<void> {
    const positions = this.#positions;
    let pending = this.#isDone() ? noAnswers : positions.fetch(signal);
    while (!signal.aborted && !this.#isDone()) {
      const started = performance.now();
      const answers = await positions.answersOf(pending, signal);
      this.#row.add("fetchMs", performance.now() - started);
      this.#row.beat();
      this.#meter?.enter("compute");
      for (const answer of answers) positions.ahead(answer);
      // V1: the answers stay valid until the fetch after this one.
      pending = positions.fetch(signal);
      // Its failure is met where it is awaited; if the loop ends before, closing the transport ends it.
      pending.catch(() => undefined);
      await this.#turn(work, answers);
      if (this.#quarantines.count > 0) await this.#quarantines.release(work.tasks, work.sends);
      this.#meter?.enter("fetch");
    }
    if (work.forwards === undefined || signal.aborted) return;
    // Fetches never overlap; what this one brings is fetched once more if it is for a join.
    await positions.answersOf(pending, signal);
    await this.#drain(work, work.forwards, signal);
  }

  /** V6: the last records go through the joins. */
  async #drain(work: Work, forwards: ForwardSenders, signal: AbortSignal): Promise<void> {
    const depths = Math.max(...this.#staged.stages.map(({ depth }) => depth));
    const turn = async (answers: readonly FetchedBytes[]): Promise<void> =>
      await this.#turn(work, answers);
    const drain = { forwards, tasks: work.tasks, gate: this.#gate, positions: this.#positions };
    await drainJoins({ ...drain, turn }, depths, signal);
  }

  /** Computes on answers and sends what came of it. */
  async #turn({ tasks, sends }: Work, answers: readonly FetchedBytes[]): Promise<void> {
    this.#compute(tasks, answers);
    this.#meter?.enter("send");
    await sends.flush();
  }

  #compute(tasks: readonly LiveTask[], answers: readonly FetchedBytes[]): void {
    const row = this.#row;
    const positions = this.#positions;
    const started = performance.now();
    for (const answer of answers) {
      row.add("bytes", answer.bytes.length);
      row.partition = answer.partition;
      for (const live of positions.readersOf(answer)) {
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
    positions.taken();
    for (const task of tasks) {
      row.partition = task.partition;
      row.heartbeat[0] = -1;
      for (const feed of task.settle()) positions.goBack(feed);
    }
    row.heartbeat[0] = -1;
    for (const { feeds } of tasks) {
      for (const { meter, reader } of feeds) meter?.look(reader);
    }
    if (answers.length === 0) return;
    if (row.get("firstRecordMs") === 0) row.set("firstRecordMs", now());
    row.set("lastRecordMs", now());
    row.add("computeMs", performance.now() - started);
  }

  #isDone(): boolean {
    const { recordsMax } = this.#order;
    return recordsMax !== undefined && boardSum(this.#rows, "records") >= recordsMax;
  }
}

const noAnswers: Promise<readonly FetchedBytes[]> = Promise.resolve([]);

/** Wall-clock ms with fractions: comparable between threads. */
function now(): number {
  return performance.timeOrigin + performance.now();
}
