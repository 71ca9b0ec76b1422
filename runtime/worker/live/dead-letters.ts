import { RecordBatchWriter } from "../../codec/kafka/record-batch-writer.ts";
import { type Transport } from "../../contract/transport.ts";
import { type Graph, type GraphNode } from "../../graph/graph.ts";
import { type DeadLetter } from "./partition-task.ts";

/** Letters held until the next flush, at most; more are counted, not kept. */
const lettersMax = 10_000;
const batchBytesMax = 4 << 20;

/**
 * Records that are no records, on their way to `qmtl.dlq.{definitionId}`: key as it was, value JSON
 * `{ partition, offset, reason, value }` with the value in base64, so that anyone can read and
 * replay it.
 */
export class DeadLetters {
  readonly #transport: Transport;
  readonly #topics = new Map<number, string>();
  readonly #letters: { readonly stream: number; readonly letter: DeadLetter }[] = [];
  readonly #ready = new Set<string>();
  readonly #writer = new RecordBatchWriter(batchBytesMax);
  /** Letters that found no room. */
  dropped = 0;

  constructor(transport: Transport, graph: Graph) {
    this.#transport = transport;
    for (const { index, definitionId } of graph.nodes) {
      this.#topics.set(index, `qmtl.dlq.${definitionId}`);
    }
  }

  /** Notes a letter; it is sent by the next flush. */
  add(stream: GraphNode, letter: DeadLetter): void {
    if (this.#letters.length === lettersMax) this.dropped += 1;
    else this.#letters.push({ stream: stream.index, letter });
  }

  /** Sends what was noted and waits for it: a position never passes a letter that is not stored. */
  async flush(signal: AbortSignal): Promise<void> {
    while (this.#letters.length > 0) {
      const { stream } = this.#letters[0]!;
      const topic = this.#topics.get(stream)!;
      if (!this.#ready.has(topic)) {
        await this.#transport.ensureTopic({ name: topic, partitions: 1 }, signal);
        this.#ready.add(topic);
      }
      let taken = 0;
      for (const own of this.#letters) {
        if (own.stream !== stream || !this.#encode(own.letter)) break;
        taken += 1;
      }
      this.#letters.splice(0, Math.max(1, taken));
      if (this.#writer.count === 0) {
        this.dropped += 1;
        continue;
      }
      await this.#transport.produce(topic, 0, this.#writer.finish(), signal);
      this.#writer.reset();
    }
  }

  #encode({ partition, offset, reason, key, value }: DeadLetter): boolean {
    const base64 = value === undefined ? null : Buffer.from(value).toString("base64");
    const text = JSON.stringify({ partition, offset, reason, value: base64 });
    return this.#writer.append(Date.now(), key, new TextEncoder().encode(text));
  }
}
