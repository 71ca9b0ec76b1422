/**
 * Writes the work's topic, through our own transport.
 *
 *   bun generate.ts topic HOST:PORT TOPIC RECORDS [PARTITIONS]     all at once
 *   bun generate.ts paced HOST:PORT TOPIC RATE RECORDS             RATE a second; closeTime = wall clock, µs
 */
import { openTransport } from "../../connectors/kafka/index.ts";
import { WireLayout } from "../../runtime/codec/wire/wire-layout.ts";
import { compileWireWrite } from "../../runtime/codec/wire/wire-writer.ts";
import { partitionOf, RecordBatchWriter, type Transport } from "../../runtime/index.ts";
import { bar } from "./bar.ts";
import { BarWalk, column, symbolBytes } from "./workload.ts";

/** Partitions that every peer's topic has. */
export const partitionsDefault = 8;

/** Bytes of a batch: about a thousand bars, as an ordinary producer sends them. */
const batchBytesMax = 100_000;
/** Batches of a partition on their way, at most. */
const inFlightMax = 4;

const layout = WireLayout.of(bar);
const write = compileWireWrite(layout);

/** What to write, and where. */
export interface TopicOrder {
  readonly topic: string;
  readonly records: number;
  /** Of a topic that is made; an existing one must have as many (default 8). */
  readonly partitions?: number;
}

/** Makes the topic and puts the first `records` bars into it. */
export async function fillTopic(
  transport: Transport,
  { topic, records, partitions = partitionsDefault }: TopicOrder,
  signal: AbortSignal,
): Promise<void> {
  await transport.ensureTopic({ name: topic, partitions }, signal);
  const lanes = lanesOf(transport, topic, partitions, signal);
  const homes = homesOf(partitions);
  const walk = new BarWalk();
  const sentMs = Date.now();
  for (let i = 0; i < records; i += 1) {
    walk.next();
    const lane = lanes[homes[walk.symbol]!]!;
    if (lane.add(walk, sentMs)) continue;
    await lane.send();
    lane.add(walk, sentMs);
  }
  for (const lane of lanes) await lane.close();
}

/**
 * Puts bars into an existing topic, `rate` a second: each is sent as soon as it is due, and its
 * close time is the wall clock in µs at that moment.
 */
export async function paceTopic(
  transport: Transport,
  { topic, records, rate }: TopicOrder & { readonly rate: number },
  signal: AbortSignal,
): Promise<void> {
  const partitions = await transport.partitionsOf(topic, signal);
  const lanes = lanesOf(transport, topic, partitions, signal);
  const homes = homesOf(partitions);
  const walk = new BarWalk();
  const startedMs = performance.now();
  let sent = 0;
  while (sent < records) {
    const due = Math.ceil(((performance.now() - startedMs) * rate) / 1_000);
    for (const end = Math.min(records, due); sent < end; sent += 1) {
      walk.next();
      const nowMs = performance.timeOrigin + performance.now();
      walk.row[column.closeTime]![0] = Math.floor(nowMs * 1_000);
      lanes[homes[walk.symbol]!]!.add(walk, Math.floor(nowMs));
    }
    for (const lane of lanes) if (lane.count > 0) await lane.send();
    await Bun.sleep(1);
  }
  for (const lane of lanes) await lane.close();
}

/** Batches of one partition, sent in order from reused buffers. */
class Lane {
  readonly #send: (batch: Uint8Array) => Promise<unknown>;
  readonly #free = Array.from({ length: inFlightMax }, () => new RecordBatchWriter(batchBytesMax));
  readonly #underWay: Promise<void>[] = [];
  #writer = new RecordBatchWriter(batchBytesMax);

  constructor(send: (batch: Uint8Array) => Promise<unknown>) {
    this.#send = send;
  }

  get count(): number {
    return this.#writer.count;
  }

  /** False if the batch is full. */
  add(walk: BarWalk, sentMs: number): boolean {
    const { openTime, row, symbol } = walk;
    const at = this.#writer.reserve(sentMs, symbolBytes[symbol], layout.byteLength);
    if (at < 0) return false;
    write(this.#writer.view, at, openTime, row, 0);
    return true;
  }

  /** Sends the batch; waits for the oldest one under way if there are too many. */
  async send(): Promise<void> {
    const writer = this.#writer;
    if (writer.count > 0) this.#underWay.push(this.#deliver(writer));
    if (this.#free.length === 0) await this.#underWay.shift();
    this.#writer = this.#free.pop() ?? new RecordBatchWriter(batchBytesMax);
  }

  /** Sends what is left and waits for all of it. */
  async close(): Promise<void> {
    await this.send();
    await Promise.all(this.#underWay);
  }

  async #deliver(writer: RecordBatchWriter): Promise<void> {
    await this.#send(writer.finish());
    writer.reset();
    this.#free.push(writer);
  }
}

// oxlint-disable-next-line eslint/max-params -- a transport, a place and a signal
function lanesOf(
  transport: Transport,
  topic: string,
  partitions: number,
  signal: AbortSignal,
): readonly Lane[] {
  return Array.from(
    { length: partitions },
    (_, partition) =>
      new Lane(async (batch) => await transport.produce(topic, partition, batch, signal)),
  );
}

/** Partition of each symbol. */
function homesOf(partitions: number): readonly number[] {
  return symbolBytes.map((key) => partitionOf(key, 0, key.length, partitions));
}

async function main([what, address, topic, ...counts]: readonly string[]): Promise<void> {
  const [first = Number.NaN, second = Number.NaN] = counts.map(Number);
  if (topic === undefined || !["topic", "paced"].includes(what ?? "") || !(first > 0)) {
    throw new RangeError("Cannot generate: wanted topic|paced HOST:PORT TOPIC and counts");
  }
  const { signal } = new AbortController();
  const transport = await openTransport(`kafka://${address}`, signal);
  try {
    if (what === "topic") {
      const partitions = second > 0 ? second : partitionsDefault;
      await fillTopic(transport, { topic, records: first, partitions }, signal);
    } else await paceTopic(transport, { topic, rate: first, records: second }, signal);
  } finally {
    await transport.close();
  }
}

if (import.meta.main) await main(process.argv.slice(2));
