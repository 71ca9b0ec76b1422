import { type Compression } from "../../../codec/compression/compression.ts";
import { RecordBatchWriter } from "../../../codec/kafka/record-batch-writer.ts";
import { type ProducerIdentity, type Transport } from "../../../contract/transport.ts";
import { assert } from "../../../core/assert.ts";
import { toError } from "../../../core/errors.ts";

/** Batches of one partition on their way, at most; each keeps its buffer until it is acked. */
export const batchesInFlightMax = 4;

/** Where batches go. */
export interface BatchTarget {
  readonly topic: string;
  readonly partition: number;
  /** Bytes of a batch before compression. */
  readonly batchBytesMax: number;
  /** Default `none`. */
  readonly compression?: Compression;
}

/**
 * Record batches of one partition: written into reused buffers and sent in order.
 *
 *   B1  Batches are sent in the order of their records; `ackedEnd` is the offset after the last
 *       one that every replica has.
 *   B2  After a failed batch none is sent: no hole in the partition.
 *   B3  Nothing is allocated per record.
 */
export class BatchSender {
  readonly target: BatchTarget;
  /** Offset after the last acknowledged batch; -1 before the first. */
  ackedEnd = -1;
  /** Records sent. */
  sent = 0;
  readonly #transport: Transport;
  readonly #producer: ProducerIdentity | undefined;
  readonly #free: RecordBatchWriter[] = [];
  #writer: RecordBatchWriter;
  #sequence = 0;
  #inFlight = 0;
  /** The partition's end once everything sealed so far is acknowledged. */
  #lastEnd: Promise<number> = Promise.resolve(0);
  #failure: Error | undefined;
  #room: PromiseWithResolvers<void> | undefined;

  constructor(target: BatchTarget, transport: Transport, producer: ProducerIdentity | undefined) {
    this.target = target;
    this.#transport = transport;
    this.#producer = producer;
    this.#writer = new RecordBatchWriter(target.batchBytesMax);
  }

  /** What values are written to; another one after each `reserve`. */
  get view(): DataView {
    return this.#writer.view;
  }

  /** Makes room for a record and returns where its value goes; a full batch is sent. */
  // oxlint-disable-next-line eslint/max-params -- called once a record: no object
  reserve(timestampMs: number, key: Uint8Array, valueLength: number, signal: AbortSignal): number {
    let at = this.#writer.reserve(timestampMs, key, valueLength);
    if (at >= 0) return at;
    this.seal(signal);
    at = this.#writer.reserve(timestampMs, key, valueLength);
    assert(at >= 0, "a batch has room for one record");
    return at;
  }

  /** Sends what is written; the next records go into another buffer. */
  seal(signal: AbortSignal): void {
    const writer = this.#writer;
    if (writer.count === 0) return;
    if (this.#failure !== undefined) {
      writer.reset(); // B2
      return;
    }
    const { count } = writer;
    const compression = this.target.compression ?? "none";
    const batch = writer.finish(
      this.#producer === undefined
        ? { compression }
        : {
            compression,
            producer: {
              producerId: this.#producer.producerId,
              producerEpoch: this.#producer.epoch,
              baseSequence: this.#sequence,
            },
          },
    );
    this.#sequence = (this.#sequence + count) % 0x8000_0000;
    this.#writer = this.#free.pop() ?? new RecordBatchWriter(this.target.batchBytesMax);
    this.#inFlight += 1;
    this.sent += count;
    this.#lastEnd = this.#send(writer, batch, count, signal);
  }

  /** Resolves when fewer than `batchesInFlightMax` batches are on their way. @throws their failure. */
  async room(): Promise<void> {
    while (this.#failure === undefined && this.#inFlight >= batchesInFlightMax) await this.#wait();
    if (this.#failure !== undefined) throw this.#failure;
  }

  /**
   * The partition's end after everything sealed so far, once that is acknowledged.
   *
   * @throws the failure of a batch.
   */
  async barrier(): Promise<number> {
    const end = await this.#lastEnd;
    if (this.#failure !== undefined) throw this.#failure;
    return end;
  }

  /** Resolves when everything sent is acknowledged. @throws the failure of a batch. */
  async idle(): Promise<void> {
    while (this.#failure === undefined && this.#inFlight > 0) await this.#wait();
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** The partition ends at `end`, before anything is sent. */
  beginAt(end: number): void {
    this.ackedEnd = end;
    this.#lastEnd = Promise.resolve(end);
  }

  /** Resolves to the end after the batch; a failure is kept for whoever waits next. */
  async #send(
    writer: RecordBatchWriter,
    batch: Uint8Array,
    count: number,
    signal: AbortSignal,
  ): Promise<number> {
    const { topic, partition } = this.target;
    try {
      const offset = await this.#transport.produce(topic, partition, batch, signal);
      // Without a place it is there already; then it ends at least here, for nobody else writes.
      this.ackedEnd = (offset >= 0 ? offset : Math.max(0, this.ackedEnd)) + count;
      writer.reset();
      this.#free.push(writer);
    } catch (error) {
      this.#failure ??= toError(error);
    } finally {
      this.#inFlight -= 1;
      this.#room?.resolve();
      this.#room = undefined;
    }
    return this.ackedEnd;
  }

  async #wait(): Promise<void> {
    this.#room ??= Promise.withResolvers<void>();
    await this.#room.promise;
  }
}
