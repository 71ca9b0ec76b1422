import { batchField, hasCode, QmtlError, readInt64, systemClock } from "../../../runtime/index.ts";
import { type KafkaConfig } from "../config.ts";
import { errorAdvice, errorCode, errorName } from "../protocol/error-codes.ts";
import { type ProducedPart, type ProducePart, produceCall } from "../protocol/produce.ts";
import { abortable } from "../session/abortable.ts";
import { BackOff } from "../session/back-off.ts";
import { type Channel } from "../session/channel.ts";
import { type Cluster } from "./cluster.ts";

interface Job extends ProducePart {
  isAbandoned: boolean;
  readonly settle: PromiseWithResolvers<ProducedPart>;
}

interface Lane {
  readonly jobs: Job[];
  inFlight: number;
  isWoken: boolean;
}

/** Requests on their way to one broker; batches that come meanwhile share the next one. */
const requestsMax = 5;
/** Bytes of a request beside the batches, at most: names and numbers of its partitions. */
const overheadBytes = 65_536;

/**
 * Sends record batches to their leaders.
 *
 *   P1  One batch of a partition is on its way at a time: none overtakes another.
 *   P2  A batch that names its producer (idempotent) is sent again, the same bytes, until there is
 *       an answer: the broker drops the copy. One that does not is sent again only if it cannot
 *       have been stored; else the outcome is unknown, and the caller is told.
 *   P3  Batches handed over in one turn of the event loop share one request per broker.
 */
export class Producer {
  readonly #cluster: Cluster;
  readonly #config: KafkaConfig;
  readonly #lanes = new Map<Channel, Lane>();
  /** The last call of each partition, which the next one waits for. */
  readonly #last = new Map<string, Promise<unknown>>();

  constructor(cluster: Cluster, config: KafkaConfig) {
    this.#cluster = cluster;
    this.#config = config;
  }

  /**
   * @returns offset of the first record; -1 if the broker had the batch before and does not say.
   * @throws QmtlError as `Transport.produce` says.
   */
  async produce(part: Omit<ProducePart, "isAbandoned">, signal: AbortSignal): Promise<number> {
    this.#check(part);
    const name = `${part.partition} ${part.topic}`;
    const before = this.#last.get(name);
    const done = Promise.withResolvers<undefined>();
    const last = done.promise;
    this.#last.set(name, last);
    try {
      if (before !== undefined) await abortable(before, signal);
      return await this.#deliver(part, signal);
    } finally {
      // Who aborts while it waits its turn must not let the next one overtake the one before.
      void Promise.resolve(before).then(() => done.resolve(undefined));
      if (this.#last.get(name) === last) void last.then(() => this.#forget(name, last));
    }
  }

  #forget(name: string, last: Promise<unknown>): void {
    if (this.#last.get(name) === last) this.#last.delete(name);
  }

  #check({ topic, partition, batch }: Omit<ProducePart, "isAbandoned">): void {
    const { requestBytesMax } = this.#config.wire;
    if (batch.length > requestBytesMax - overheadBytes) throw tooLarge(topic, partition, batch);
    const view = new DataView(batch.buffer, batch.byteOffset, batch.length);
    const isWhole =
      batch.length >= batchField.records &&
      view.getInt8(batchField.magic) === 2 &&
      view.getInt32(batchField.length) + batchField.leaderEpoch === batch.length;
    if (isWhole) return;
    throw new QmtlError(
      "TRANSPORT_REJECTED",
      `Cannot produce to "${topic}": the ${batch.length} bytes are no record batch, wanted one whole batch of format 2`,
      { topic, partition, reason: "INVALID_RECORD" },
    );
  }

  async #deliver(part: Omit<ProducePart, "isAbandoned">, signal: AbortSignal): Promise<number> {
    const { topic, partition, batch } = part;
    const view = new DataView(batch.buffer, batch.byteOffset, batch.length);
    const isIdempotent = readInt64(view, batchField.producerId) >= 0;
    const endMs = performance.now() + this.#config.unavailableMsMax;
    const backOff = new BackOff(20, 1_000);
    for (;;) {
      let failure: QmtlError;
      try {
        const channel = await this.#cluster.leader(topic, partition, signal);
        const produced = await this.#send(channel, part, signal);
        const offset = offsetOf(produced);
        if (offset !== undefined) return offset;
        failure = this.#refusal(part, produced);
      } catch (error) {
        if (!hasCode(error, "TRANSPORT_UNAVAILABLE")) throw error;
        failure = error;
        this.#cluster.markStale(topic);
      }
      const isSafe = isIdempotent || failure.details["sent"] === false;
      const isOver = performance.now() >= endMs;
      if (isOver || !isSafe || failure.code !== "TRANSPORT_UNAVAILABLE") throw failure;
      await systemClock.sleep(backOff.next(), signal);
    }
  }

  async #send(
    channel: Channel,
    part: Omit<ProducePart, "isAbandoned">,
    signal: AbortSignal,
  ): Promise<ProducedPart> {
    const settle = Promise.withResolvers<ProducedPart>();
    const job: Job = { ...part, isAbandoned: false, settle };
    const lane = this.#laneOf(channel);
    lane.jobs.push(job);
    this.#wake(channel, lane);
    try {
      return await abortable(settle.promise, signal);
    } finally {
      job.isAbandoned = true;
    }
  }

  #laneOf(channel: Channel): Lane {
    let lane = this.#lanes.get(channel);
    if (lane === undefined) {
      lane = { jobs: [], inFlight: 0, isWoken: false };
      this.#lanes.set(channel, lane);
    }
    return lane;
  }

  /** Sends what is there at the end of this turn of the event loop (P3). */
  #wake(channel: Channel, lane: Lane): void {
    if (lane.isWoken || lane.inFlight >= requestsMax || lane.jobs.length === 0) return;
    lane.isWoken = true;
    queueMicrotask(() => {
      lane.isWoken = false;
      const jobs = this.#takeJobs(lane);
      if (jobs.length > 0) void this.#request(channel, lane, jobs);
      else if (lane.inFlight === 0) this.#lanes.delete(channel);
    });
  }

  /** The next jobs that fit into one request. */
  #takeJobs(lane: Lane): readonly Job[] {
    const jobs: Job[] = [];
    let bytes = overheadBytes;
    for (let job = lane.jobs[0]; job !== undefined; job = lane.jobs[0]) {
      bytes += job.batch.length;
      if (jobs.length > 0 && bytes > this.#config.wire.requestBytesMax) break;
      lane.jobs.shift();
      if (!job.isAbandoned) jobs.push(job);
    }
    return jobs;
  }

  async #request(channel: Channel, lane: Lane, jobs: readonly Job[]): Promise<void> {
    lane.inFlight += 1;
    this.#wake(channel, lane);
    try {
      // The broker gives up on slow replicas before we would take it for frozen.
      const replicasMsMax = Math.ceil(this.#config.wire.stallMsMax * 0.8);
      const answer = await channel.call(produceCall(jobs, replicasMsMax));
      channel.throttled(answer.throttleMs);
      for (const job of jobs) {
        const produced = answer.parts.find(
          ({ topic, partition }) => topic === job.topic && partition === job.partition,
        );
        if (produced !== undefined) job.settle.resolve(produced);
        else if (!job.isAbandoned) job.settle.reject(unanswered(job));
      }
    } catch (error) {
      for (const job of jobs) if (!job.isAbandoned) job.settle.reject(error);
    } finally {
      lane.inFlight -= 1;
      if (lane.jobs.length > 0) this.#wake(channel, lane);
      else if (lane.inFlight === 0) this.#lanes.delete(channel);
    }
  }

  #refusal(part: Omit<ProducePart, "isAbandoned">, produced: ProducedPart): QmtlError {
    const { topic, partition, batch } = part;
    const code = produced.errorCode;
    if (code === errorCode.messageTooLarge || code === errorCode.recordListTooLarge) {
      return tooLarge(topic, partition, batch);
    }
    const advice = errorAdvice(code);
    if (advice === "leader") this.#cluster.markStale(topic);
    const reason = errorName(code);
    const words = produced.message === "" ? "" : ` (${produced.message})`;
    return new QmtlError(
      advice === "never" ? "TRANSPORT_REJECTED" : "TRANSPORT_UNAVAILABLE",
      `Cannot produce to partition ${partition} of "${topic}": the broker says ${reason}${words}`,
      // After an answer the outcome is known, unless the code itself says that it is not.
      { topic, partition, reason, ...(advice === "unsure" ? {} : { sent: false }) },
    );
  }
}

/** Where the batch is, or undefined if it was refused. */
function offsetOf({ errorCode: code, baseOffset }: ProducedPart): number | undefined {
  return code === errorCode.none || code === errorCode.duplicateSequence ? baseOffset : undefined;
}

function tooLarge(topic: string, partition: number, { length }: Uint8Array): QmtlError {
  return new QmtlError(
    "MESSAGE_TOO_LARGE",
    `Cannot produce to partition ${partition} of "${topic}": the batch has ${length} bytes, wanted no more than the topic's max.message.bytes`,
    { topic, partition, bytes: length },
  );
}

function unanswered({ topic, partition }: Job): QmtlError {
  return new QmtlError(
    "TRANSPORT_UNAVAILABLE",
    `Cannot produce to partition ${partition} of "${topic}": the broker's answer does not name it`,
    { topic, partition },
  );
}
