import { type ProducerStamp } from "../../runtime/codec/kafka/record-batch.ts";
import { batchField, partitionOf, type Transport } from "../../runtime/index.ts";
import { readTheirs } from "../runtime/codec/kafka/independent.ts";
import { fixed, logBatch } from "../runtime/worker/live/log-bytes.ts";
import { meanLength } from "./live-strategies.ts";

/** A record of one field, as plain data. */
export interface PlainBar {
  readonly key: string;
  readonly ts: number;
  readonly value: number;
}

/** Length of a bar, ms. */
export const minute = 60_000;

const limits = { waitMsMax: 500, partitionBytesMax: 1 << 20, bytesMax: 8 << 20 };

/** The topics of one test: what it puts in, and what an independent decoder reads out. */
export class LiveLog {
  readonly transport: Transport;
  readonly partitions: number;

  constructor(transport: Transport, partitions: number) {
    this.transport = transport;
    this.partitions = partitions;
  }

  /** Of one call: a log lives as long as its test. */
  get #signal(): AbortSignal {
    return AbortSignal.timeout(60_000);
  }

  async make(topic: string): Promise<void> {
    await this.transport.ensureTopic({ name: topic, partitions: this.partitions }, this.#signal);
  }

  /** Puts `bars` where a producer puts them, by key; batches of at most `batchRows`. */
  async put(topic: string, bars: readonly PlainBar[], batchRows = 500): Promise<void> {
    for (let partition = 0; partition < this.partitions; partition += 1) {
      const own = bars.filter(({ key }) => this.partitionOf(key) === partition);
      for (let at = 0; at < own.length; at += batchRows) {
        const records = own.slice(at, at + batchRows).map(({ key, ts, value }) => ({
          key,
          value: fixed("f", [ts, value]),
        }));
        await this.transport.produce(topic, partition, logBatch(records), this.#signal);
      }
    }
  }

  partitionOf(key: string): number {
    const bytes = new TextEncoder().encode(key);
    return partitionOf(bytes, 0, bytes.length, this.partitions);
  }

  /** Everything in a partition, decoded by another project's code and `Buffer`. */
  async read(topic: string, partition: number): Promise<readonly PlainBar[]> {
    const [ends] = await this.transport.endsOf(topic, [partition], this.#signal);
    const bars: PlainBar[] = [];
    let offset = ends!.start;
    while (offset < ends!.end) {
      const position = { topic, partition, offset };
      for (const answer of await this.transport.fetch([position], limits, this.#signal)) {
        for (const record of readTheirs(answer.bytes)) {
          if (record.offset < offset) continue;
          const value = Buffer.from(record.value ?? "", "latin1");
          bars.push({
            key: record.key ?? "",
            ts: Number(value.readBigUInt64BE(2)),
            value: value.readDoubleBE(11),
          });
        }
        offset = answer.nextOffset;
      }
    }
    return bars;
  }

  /** Who wrote the last batch of a partition, and the sequence of that producer's next one. */
  async producerOf(topic: string, partition: number): Promise<ProducerStamp> {
    const position = { topic, partition, offset: (await this.endOf(topic, partition)) - 1 };
    const [answer] = await this.transport.fetch([position], limits, this.#signal);
    const view = new DataView(answer!.bytes.buffer, answer!.bytes.byteOffset);
    return {
      producerId: Number(view.getBigInt64(batchField.producerId)),
      producerEpoch: view.getInt16(batchField.producerEpoch),
      baseSequence: view.getInt32(batchField.baseSequence) + view.getInt32(batchField.recordCount),
    };
  }

  /** Every partition of `topic`. */
  async readAll(topic: string): Promise<readonly (readonly PlainBar[])[]> {
    const all: (readonly PlainBar[])[] = [];
    for (let p = 0; p < this.partitions; p += 1) all.push(await this.read(topic, p));
    return all;
  }

  /** Records of `topic`, in all partitions. */
  async count(topic: string): Promise<number> {
    const all = Array.from({ length: this.partitions }, (_, p) => p);
    const ends = await this.transport.endsOf(topic, all, this.#signal);
    return ends.reduce((sum, { start, end }) => sum + end - start, 0);
  }

  /** Offset that the next record of a partition gets. */
  async endOf(topic: string, partition: number): Promise<number> {
    const [ends] = await this.transport.endsOf(topic, [partition], this.#signal);
    return ends!.end;
  }

  /** Waits until `topic` holds `count` records. */
  async until(topic: string, count: number, msMax = 30_000): Promise<void> {
    const endMs = performance.now() + msMax;
    while ((await this.count(topic)) < count) {
      if (performance.now() > endMs) {
        throw new Error(`"${topic}" has ${await this.count(topic)} records, wanted ${count}`);
      }
      await Bun.sleep(20);
    }
  }
}

/** `count` bars of each of `keys`, in time order; closes are quarters, so that sums are exact. */
export function barsOf(keys: readonly string[], count: number, from = 0): readonly PlainBar[] {
  let seed = 1;
  return Array.from({ length: count }, (_, i) =>
    keys.map((key) => {
      seed = (seed * 48_271) % 2_147_483_647;
      return { key, ts: (from + i) * minute, value: (seed % 4_000) / 4 };
    }),
  ).flat();
}

/** What `Means` has to emit for the bars of one partition, by a plain loop. */
export function meansOf(bars: readonly PlainBar[]): readonly PlainBar[] {
  const closes = new Map<string, number[]>();
  return bars.flatMap(({ key, ts, value }) => {
    const own = closes.get(key) ?? [];
    closes.set(key, own);
    own.push(value);
    if (own.length < meanLength) return [];
    const sum = own.slice(-meanLength).reduce((a, b) => a + b, 0);
    return [{ key, ts, value: sum / meanLength }];
  });
}

/** Keys `K0` to `K{count - 1}`. */
export function keyNames(count: number): readonly string[] {
  return Array.from({ length: count }, (_, i) => `K${i}`);
}
