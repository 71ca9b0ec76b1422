import { type Compression } from "../../../codec/compression/compression.ts";
import { AbortedTransactions } from "../../../codec/kafka/aborted-transactions.ts";
import { RecordBatchReader } from "../../../codec/kafka/record-batch-reader.ts";
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
import { type Clock, systemClock } from "../../../core/clock.ts";
import { type GraphNode } from "../../../graph/graph.ts";
import { type OutputRows } from "../../task/node-output.ts";
import { BatchSender } from "./batch-sender.ts";
import { FoundRecords } from "./found-records.ts";

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
 *   E1  Batches are sent in the order of their records (`BatchSender`).
 *   E2  A record that the partition held when the task took over is not sent again: records are
 *       compared by key and ts, never by count.
 *   E3  Nothing is allocated per record.
 *   E4  A record's time in the log is when it was encoded; its own time is in the value. A broker
 *       forgets a producer whose last record is older than a day when it restarts, and then takes
 *       a batch that is sent again as a new one (docs/decisions/record-times.md).
 */
export class OutputPartition {
  readonly target: OutputTarget;
  readonly #transport: Transport;
  readonly #layout: WireLayout;
  readonly #write: WireWrite;
  readonly #sender: BatchSender;
  readonly #clock: Clock;
  /** What was found in the partition beyond the checkpoint, while it may come again (E2). */
  #found: FoundRecords | undefined;

  constructor(
    target: OutputTarget,
    transport: Transport,
    producer: ProducerIdentity | undefined,
    clock: Clock = systemClock,
  ) {
    this.#clock = clock;
    this.target = target;
    this.#transport = transport;
    this.#layout = WireLayout.of(target.node.schema);
    this.#write = compileWireWrite(this.#layout);
    this.#sender = new BatchSender(target, transport, producer);
  }

  /** Offset after the last acknowledged batch; -1 before the first. */
  get ackedEnd(): number {
    return this.#sender.ackedEnd;
  }

  /** Records sent. */
  get sent(): number {
    return this.#sender.sent;
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
      const at = this.#sender.reserve(sentMs, key, length, signal);
      this.#write(this.#sender.view, at, ts, rows.columns, i);
    }
  }

  /** Sends what is encoded; the next rows go into another buffer. */
  seal(signal: AbortSignal): void {
    this.#sender.seal(signal);
  }

  /** Resolves when fewer than `batchesInFlightMax` batches are on their way. @throws their failure. */
  async room(): Promise<void> {
    await this.#sender.room();
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
    const end = await this.#sender.barrier();
    return from < 0 ? end : from;
  }

  /** Resolves when everything sent is acknowledged. @throws the failure of a batch. */
  async idle(): Promise<void> {
    await this.#sender.idle();
  }

  /** Begins at the partition's end: what is there is not ours. */
  async begin(signal: AbortSignal): Promise<void> {
    const { topic, partition } = this.target;
    const [ends] = await this.#transport.endsOf(topic, [partition], signal);
    this.#sender.beginAt(ends?.end ?? 0);
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
    this.#sender.beginAt(end);
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
}
