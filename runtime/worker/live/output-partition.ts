import { RecordBatchReader } from "../../codec/kafka/record-batch-reader.ts";
import { RecordBatchWriter } from "../../codec/kafka/record-batch-writer.ts";
import { type KeyTable } from "../../codec/key-table.ts";
import { ValueDecoder } from "../../codec/wire/value-decoder.ts";
import { WireLayout } from "../../codec/wire/wire-layout.ts";
import { compileWireWrite, type WireWrite } from "../../codec/wire/wire-writer.ts";
import { type ProducerIdentity, type Transport } from "../../contract/transport.ts";
import { assert } from "../../core/assert.ts";
import { errorText } from "../../core/errors.ts";
import { type GraphNode } from "../../graph/graph.ts";
import { type OutputRows } from "../task/node-output.ts";

/** Batches of one output partition on their way, at most; each keeps its buffer until it is acked. */
export const batchesInFlightMax = 4;

/** Where a node's outputs of one partition go. */
export interface OutputTarget {
  readonly node: GraphNode;
  readonly topic: string;
  readonly partition: number;
  readonly keys: KeyTable;
  /** Bytes of a batch before compression. */
  readonly batchBytesMax: number;
}

/**
 * Outputs of one node in one partition, encoded into reused buffers and sent in order.
 *
 *   E1  Batches are sent in the order of their records; `ackedEnd` is the offset after the last
 *       one that every replica has.
 *   E2  A record that the partition held when the task took over is not sent again: records are
 *       compared by key and ts, never by count.
 *   E3  Nothing is allocated per record.
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
  #lastSend: Promise<void> = Promise.resolve();
  #failure: Error | undefined;
  #room: PromiseWithResolvers<void> | undefined;
  /** Identities that were found in the partition beyond the checkpoint (E2). */
  readonly #found = new Set<string>();

  constructor(target: OutputTarget, transport: Transport, producer: ProducerIdentity | undefined) {
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
    for (let i = 0; i < rows.count; i += 1) {
      const key = keys.bytesOf(rows.slots[i]!);
      const ts = rows.ts[i]!;
      if (this.#found.size > 0 && this.#found.delete(identityOf(keys.textOf(rows.slots[i]!), ts))) {
        continue;
      }
      const length = this.#layout.lengthOf(rows.columns, i);
      let at = this.#writer.reserve(ts, key, length);
      if (at < 0) {
        this.seal(signal);
        at = this.#writer.reserve(ts, key, length);
        assert(at >= 0, "a batch has room for one record");
      }
      this.#write(this.#writer.view, at, ts, rows.columns, i);
    }
  }

  /** Sends what is encoded; the next rows go into another buffer. */
  seal(signal: AbortSignal): void {
    const writer = this.#writer;
    if (writer.count === 0) return;
    const { count } = writer;
    const batch = writer.finish(
      this.#producer === undefined
        ? {}
        : {
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
    this.#lastSend = this.#send(writer, batch, count, signal);
  }

  /** Resolves when fewer than `batchesInFlightMax` batches are on their way. @throws their failure. */
  async room(): Promise<void> {
    while (this.#failure === undefined && this.#inFlight >= batchesInFlightMax) await this.#wait();
    if (this.#failure !== undefined) throw this.#failure;
  }

  /**
   * The end of the partition after everything sealed so far: resolves when that is acknowledged.
   * @throws the failure of a batch.
   */
  async barrier(): Promise<number> {
    await this.#lastSend;
    if (this.#failure !== undefined) throw this.#failure;
    return Math.max(0, this.ackedEnd);
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
    this.ackedEnd = ends?.end ?? 0;
  }

  /**
   * Reads the partition from `from` (the end that the checkpoint names) and remembers what is
   * there (E2). Call before the first `add`.
   */
  async readBack(from: number, signal: AbortSignal): Promise<void> {
    const { topic, partition } = this.target;
    const [ends] = await this.#transport.endsOf(topic, [partition], signal);
    const end = ends?.end ?? 0;
    this.ackedEnd = end;
    const limits = { waitMsMax: 500, partitionBytesMax: 1 << 20, bytesMax: 16 << 20 };
    const reader = new RecordBatchReader();
    const decoder = new ValueDecoder(this.#layout);
    const text = new TextDecoder();
    let offset = Math.max(from, ends?.start ?? 0);
    while (offset < end) {
      const answers = await this.#transport.fetch([{ topic, partition, offset }], limits, signal);
      for (const answer of answers) {
        reader.open(answer.bytes);
        while (reader.next()) {
          const { keyAt, keyLength, valueAt, valueLength, offset: offsets } = reader.records;
          for (let i = 0; i < reader.count; i += 1) {
            if (offsets[i]! < offset || keyLength[i]! < 0) continue;
            if (decoder.decode(reader.bytes, valueAt[i]!, valueLength[i]!) !== undefined) continue;
            const key = reader.bytes.subarray(keyAt[i], keyAt[i]! + keyLength[i]!);
            this.#found.add(identityOf(text.decode(key), decoder.values[0]!));
          }
          offset = reader.nextOffset;
        }
      }
    }
  }

  async #send(
    writer: RecordBatchWriter,
    batch: Uint8Array,
    count: number,
    signal: AbortSignal,
  ): Promise<void> {
    const { topic, partition } = this.target;
    try {
      const offset = await this.#transport.produce(topic, partition, batch, signal);
      if (offset >= 0) this.ackedEnd = offset + count;
      writer.reset();
      this.#free.push(writer);
    } catch (error) {
      this.#failure ??= error instanceof Error ? error : new Error(errorText(error));
    } finally {
      this.#inFlight -= 1;
      this.#room?.resolve();
      this.#room = undefined;
    }
  }

  async #wait(): Promise<void> {
    this.#room ??= Promise.withResolvers<void>();
    await this.#room.promise;
  }
}

/** A record's identity within one node and partition. */
function identityOf(key: string, ts: number): string {
  return `${ts} ${key}`;
}
