import { RecordBatchWriter } from "../../../codec/kafka/record-batch-writer.ts";
import { type Transport } from "../../../contract/transport.ts";
import { type Clock, systemClock } from "../../../core/clock.ts";
import { type Graph, type GraphNode } from "../../../graph/graph.ts";
import { type DeadLetter } from "../partition-task.ts";

/** Bytes of letters held until the next flush, at most; later ones are counted, not kept. */
const lettersBytesMax = 64 << 20;
/** What a letter costs beside its key and value, bytes. */
const letterBytes = 256;
/** Bytes of a batch: below what a broker takes by default (1,048,588). */
const batchBytesMax = 1_000_000;

/**
 * Records that are no records, on their way to `qmtl.dlq.{definitionId}`: key as it was, value JSON
 * `{ partition, offset, reason, value }` with the value in base64, so that anyone can read and
 * replay it. A value too large for a batch is left out, and `valueBytes` says how long it was. A
 * letter is there at least once: after a lost reply or a kill it may be sent again, under the same
 * partition and offset.
 */
export class DeadLetters {
  readonly #transport: Transport;
  readonly #clock: Clock;
  readonly #topics = new Map<number, string>();
  readonly #letters: { readonly stream: number; readonly letter: DeadLetter }[] = [];
  readonly #ready = new Set<string>();
  readonly #writer = new RecordBatchWriter(batchBytesMax);
  #bytes = 0;
  /** Letters that found no room. */
  dropped = 0;

  constructor(transport: Transport, graph: Graph, clock: Clock = systemClock) {
    this.#transport = transport;
    this.#clock = clock;
    for (const { index, definitionId } of graph.nodes) {
      this.#topics.set(index, `qmtl.dlq.${definitionId}`);
    }
  }

  /** Notes a letter; it is sent by the next flush. */
  add(stream: GraphNode, letter: DeadLetter): void {
    const bytes = letterBytes + (letter.key?.length ?? 0) + (letter.value?.length ?? 0);
    if (this.#bytes + bytes > lettersBytesMax) {
      this.dropped += 1;
      return;
    }
    this.#bytes += bytes;
    this.#letters.push({ stream: stream.index, letter });
  }

  /** Sends what was noted and waits for it: a position never passes a letter that is not stored. */
  async flush(signal: AbortSignal): Promise<void> {
    let sent = 0;
    while (sent < this.#letters.length) {
      const { stream } = this.#letters[sent]!;
      const topic = this.#topics.get(stream)!;
      if (!this.#ready.has(topic)) {
        await this.#transport.ensureTopic({ name: topic, partitions: 1 }, signal);
        this.#ready.add(topic);
      }
      for (; sent < this.#letters.length; sent += 1) {
        const own = this.#letters[sent]!;
        if (own.stream !== stream || !this.#encode(own.letter)) break;
      }
      await this.#transport.produce(topic, 0, this.#writer.finish(), signal);
      this.#writer.reset();
    }
    this.#letters.length = 0;
    this.#bytes = 0;
  }

  /** False if it belongs into the next batch. */
  #encode({ partition, offset, reason, key, value }: DeadLetter): boolean {
    const base64 = value === undefined ? null : Buffer.from(value).toString("base64");
    const place = { partition, offset, reason };
    if (this.#append(key, { ...place, value: base64 })) return true;
    if (this.#writer.count > 0) return false;
    // A key that fits no batch is no key (1,024 bytes are the limit), so it may be left out too.
    const cut = { ...place, value: null, valueBytes: value?.length ?? 0 };
    return this.#append(key, cut) || this.#append(undefined, cut);
  }

  #append(key: Uint8Array | undefined, letter: Readonly<Record<string, unknown>>): boolean {
    return this.#writer.append(
      this.#clock.now(),
      key,
      new TextEncoder().encode(JSON.stringify(letter)),
    );
  }
}
