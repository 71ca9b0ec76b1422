import { type ProducerIdentity, type Transport } from "../../../contract/transport.ts";
import { type LivePace } from "../live-order.ts";
import { BatchSender } from "../output/batch-sender.ts";

/** Bytes of a batch, at most: a thread has one for each partition that it forwards to. */
const batchBytesMax = 1 << 18;

/** The ways of one thread into repartition topics: all its tasks share them. */
export class ForwardSenders {
  readonly #transport: Transport;
  readonly #producer: ProducerIdentity | undefined;
  readonly #pace: LivePace;
  readonly #senders = new Map<string, BatchSender>();

  constructor(transport: Transport, producer: ProducerIdentity | undefined, pace: LivePace) {
    this.#transport = transport;
    this.#producer = producer;
    this.#pace = pace;
  }

  /** The way into a partition; the same for all who ask. */
  of(topic: string, partition: number): BatchSender {
    const name = `${partition} ${topic}`;
    let sender = this.#senders.get(name);
    if (sender === undefined) {
      const bytesMax = Math.min(batchBytesMax, this.#pace.batchBytesMax);
      const { compression } = this.#pace;
      const target = { topic, partition, batchBytesMax: bytesMax, compression };
      sender = new BatchSender(target, this.#transport, this.#producer);
      this.#senders.set(name, sender);
    }
    return sender;
  }

  /** Sends what is written. */
  seal(signal: AbortSignal): void {
    for (const sender of this.#senders.values()) sender.seal(signal);
  }

  /** Resolves when every partition has room for a batch. @throws the failure of one. */
  async room(): Promise<void> {
    for (const sender of this.#senders.values()) await sender.room();
  }

  /** Resolves when everything sealed by now is acknowledged. @throws the failure of a batch. */
  async barrier(): Promise<void> {
    await Promise.all([...this.#senders.values()].map(async (sender) => await sender.barrier()));
  }

  /** Resolves when everything sent is acknowledged. @throws the failure of a batch. */
  async idle(): Promise<void> {
    await Promise.all([...this.#senders.values()].map(async (sender) => await sender.idle()));
  }
}
