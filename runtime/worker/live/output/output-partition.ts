import { type Compression } from "../../../codec/compression/compression.ts";
import { AbortedTransactions } from "../../../codec/kafka/aborted-transactions.ts";
import { RecordBatchReader } from "../../../codec/kafka/record-batch-reader.ts";
import { RecordBatchWriter } from "../../../codec/kafka/record-batch-writer.ts";
import { type KeyTable } from "../../../codec/key-table.ts";
import { ValueDecoder } from "../../../codec/wire/value-decoder.ts";
import { WireLayout } from "../../../codec/wire/wire-layout.ts";
import { compileWireWrite, type WireWrite } from "../../../codec/wire/wire-writer.ts";
import {
  type FetchedBytes,
  type FetchLimits,
  type ProducerIdentity,
  type Transport,
} from "../../../contract/transport.ts";
import { assert } from "../../../core/assert.ts";
import { type Clock, systemClock } from "../../../core/clock.ts";
import { toError } from "../../../core/errors.ts";
import { type GraphNode } from "../../../graph/graph.ts";
import { type OutputRows } from "../../task/node-output.ts";
import { FoundRecords } from "./found-records.ts";

/** Batches of one output partition on their way, at most; each keeps its buffer until it is acked. */
export const batchesInFlightMax = 4;

const readBackLimits: FetchLimits = {
  waitMsMax: 500,
  partitionBytesMax: 1 << 20,
  bytesMax: 16 << 20,
};

/** Where a node's outputs of one partition go. */
export interface OutputTarget {
  readonly node: GraphNode;
  readonly topic: string;
  readonly partition: number;
  readonly keys: KeyTable;
  /** Bytes of a batch before compression. */
  readonly batchBytesMax: number;
  /** Default `none`. */
  readonly compression?: Compression;
}

/**
 * Outputs of one node in one partition, encoded into reused buffers and sent in order.
 *
 *   E1  Batches are sent in the order of their records; `ackedEnd` is the offset after the last
 *       one that every replica has.
 *   E2  A record that the partition held when the task took over is not sent again: records are
 *       compared by key and ts, never by count.
 *   E3  Nothing is allocated per record.
 *   E4  A record's time in the log is when it was encoded; its own time is in the value. A broker
 *       forgets a producer whose last record is older than a day when it restarts, and then takes
 *       a batch that is sent again as a new one (docs/decisions/record-times.md).
 *   E5  After a failed batch none is sent: no hole in the partition.
 */
export class OutputPartition {
  readonly target: OutputTarget;
  /** Offset after the last acknowledged batch; -1 before the first. */
  ackedEnd = -1;
  sent = 0;
  readonly #transport: Transport;
  readonly #producer: ProducerIdentity | undefined;
  readonly #layout: WireLayout;
  readonly #write: WireWrite;
  readonly #free: RecordBatchWriter[] = [];
  #writer: RecordBatchWriter;
  #sequence = 0;
  #inFlight = 0;
  /** The partition's end once everything sealed so far is acknowledged. */
  #lastEnd: Promise<number> = Promise.resolve(0);
  #failure: Error | undefined;
  #room: PromiseWithResolvers<void> | undefined;
  /** What was found in the partition beyond the checkpoint, while it may come again (E2). */
  #found: FoundRecords | undefined;

  readonly #clock: Clock;

  constructor(
    target: OutputTarget,
    transport: Transport,
    producer: ProducerIdentity | undefined,
    clock: Clock = systemClock,
  ) {
    this.#clock = clock;
    this.target = target;
    this.#transport = transport;
    this.#producer = producer;
    this.#layout = WireLayout.of(target.node.schema);
    this.#write = compileWireWrite(this.#layout);
    this.#writer = new RecordBatchWriter(target.batchBytesMax);
  }

  /** Encodes rows; a full batch is sent. */
  add(rows: OutputRows, signal: AbortSignal): void {
    const { keys } = this.target;
    const sentMs = this.#clock.now(); // E4
    for (let i = 0; i < rows.count; i += 1) {
      const key = keys.bytesOf(rows.slots[i]!);
      const ts = rows.ts[i]!;
      if (this.#found?.has(rows.slots[i]!, key, ts) === true) continue;
      const length = this.#layout.lengthOf(rows.columns, i);
      let at = this.#writer.reserve(sentMs, key, length);
      if (at < 0) {
        this.seal(signal);
        at = this.#writer.reserve(sentMs, key, length);
        assert(at >= 0, "a batch has room for one record");
      }
      this.#write(this.#writer.view, at, ts, rows.columns, i);
    }
  }

  /** Sends what is encoded; the next rows go into another buffer. */
  seal(signal: AbortSignal): void {
    const writer = this.#writer;
    if (writer.count === 0) return;
    if (this.#failure !== undefined) {
      writer.reset(); // E5
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
   * The end from which a restart has to read back, if it begins after everything sealed so far:
   * resolves when that is acknowledged. While records found earlier may still come again it stays
   * where those begin.
   *
   * @throws the failure of a batch.
   */
  async barrier(): Promise<number> {
    // Both as they are now: batches sealed later are not the caller's.
    const from = this.#found === undefined || this.#found.count === 0 ? -1 : this.#found.from;
    const end = await this.#lastEnd;
    if (this.#failure !== undefined) throw this.#failure;
    return from < 0 ? end : from;
  }

  /** Resolves when everything sent is acknowledged. @throws the failure of a batch. */
  async idle(): Promise<void> {
    while (this.#failure === undefined && this.#inFlight > 0) await this.#wait();
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Begins at the partition's end: what is there is not ours. */
  async begin(signal: AbortSignal): Promise<void> {
    const { topic, partition } = this.target;
    const [ends] = await this.#transport.endsOf(topic, [partition], signal);
    this.#beginAt(ends?.end ?? 0);
  }

  /**
   * Reads the partition from `from` (the end that the checkpoint names) and remembers what is
   * there (E2). Call before the first `add`.
   */
  async readBack(from: number, signal: AbortSignal): Promise<void> {
    const { topic, partition } = this.target;
    const [ends] = await this.#transport.endsOf(topic, [partition], signal);
    const end = ends?.end ?? 0;
    const found = new FoundRecords(from);
    let offset = Math.max(from, ends?.start ?? 0);
    while (offset < end) {
      const position = { topic, partition, offset };
      const answers = await this.#transport.fetch([position], readBackLimits, signal);
      for (const answer of answers) offset = this.#collect(answer, offset, found);
    }
    this.#found = found;
    this.#beginAt(end);
  }

  #beginAt(end: number): void {
    this.ackedEnd = end;
    this.#lastEnd = Promise.resolve(end);
  }

  /** Adds the records of an answer from `offset` on; returns the offset after it. */
  #collect(answer: FetchedBytes, offset: number, found: FoundRecords): number {
    const reader = new RecordBatchReader();
    const decoder = new ValueDecoder(this.#layout);
    const aborted = new AbortedTransactions();
    aborted.begin(answer.abortedTransactions ?? []);
    reader.open(answer.bytes);
    while (reader.next()) {
      if (!aborted.accepts(reader)) continue;
      const { keyAt, keyLength, valueAt, valueLength, offset: offsets } = reader.records;
      for (let i = 0; i < reader.count; i += 1) {
        if (offsets[i]! < offset || keyLength[i]! < 0) continue;
        if (decoder.decode(reader.bytes, valueAt[i]!, valueLength[i]!) !== undefined) continue;
        const key = reader.bytes.subarray(keyAt[i], keyAt[i]! + keyLength[i]!);
        found.add(key, decoder.values[0]!);
      }
    }
    return Math.max(offset, answer.nextOffset);
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
