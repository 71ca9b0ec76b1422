import {
  type FetchedBytes,
  type FetchLimits,
  type FetchPosition,
  hasCode,
  type PartitionEnds,
  type ProducerIdentity,
  QmtlError,
  reasonOf,
  type TopicSpec,
  type Transport,
} from "../../runtime/index.ts";
import { Cluster } from "./cluster/cluster.ts";
import { Fetcher } from "./cluster/fetcher.ts";
import { endsOf, offsetAt } from "./cluster/offsets.ts";
import { Producer } from "./cluster/producer.ts";
import { retrying } from "./cluster/retrying.ts";
import { type KafkaConfig, parseKafkaUrl } from "./config.ts";
import { errorAdvice, errorCode, errorName } from "./protocol/error-codes.ts";
import { initProducerIdCall } from "./protocol/init-producer-id.ts";
import { metadataCall } from "./protocol/metadata.ts";
import { isTopicName } from "./topic-names.ts";

/** Partitions of a topic, at most. */
const partitionsMax = 10_000;

/** What `openTransport` gives. */
export interface KafkaTransport extends Transport {
  initProducer(signal: AbortSignal): Promise<ProducerIdentity>;
}

/**
 * Connects to `kafka://[user[:password]@]host:port[,host:port…][?key=value…]`; `config.ts` lists the
 * keys. Tries each broker once, so that the caller can say at once which dependency is down.
 *
 * @throws QmtlError CONFIG_INVALID, TRANSPORT_UNAVAILABLE (try again), TRANSPORT_AUTH_FAILED,
 *   TRANSPORT_REJECTED if the broker does not speak the versions we need.
 */
export async function openTransport(url: string, signal: AbortSignal): Promise<KafkaTransport> {
  signal.throwIfAborted();
  const config = parseKafkaUrl(url);
  const transport = new WireTransport(config);
  try {
    await transport.connect(signal);
    return transport;
  } catch (error) {
    await transport.close();
    throw error;
  }
}

/** A Kafka cluster as a log; see `Transport` for the rules. */
class WireTransport implements KafkaTransport {
  readonly #config: KafkaConfig;
  readonly #cluster: Cluster;
  readonly #producer: Producer;
  readonly #fetcher: Fetcher;
  readonly #closing = new AbortController();
  readonly #stops = new WeakMap<AbortSignal, AbortSignal>();

  constructor(config: KafkaConfig) {
    this.#config = config;
    this.#cluster = new Cluster(config);
    this.#producer = new Producer(this.#cluster, config);
    this.#fetcher = new Fetcher(this.#cluster, config);
  }

  async connect(signal: AbortSignal): Promise<void> {
    await this.#guarded(signal, async (stop) => {
      await this.#cluster.any(metadataCall([]), stop);
    });
  }

  async ensureTopic(spec: TopicSpec, signal: AbortSignal): Promise<void> {
    await this.#retried(signal, async (stop) => {
      checkSpec(spec);
      let found = await this.#partitionsIfThere(spec.name, stop);
      if (found === undefined) {
        // Loaded when a topic has to be made, which few threads do: kafkajs takes 16 MB of memory.
        const { createTopic } = await import("./admin.ts");
        await createTopic(this.#config, spec, stop);
        found = await this.#cluster.partitions(spec.name, stop);
      }
      if (found === spec.partitions) return;
      throw new QmtlError(
        "TOPIC_PARTITIONS_MISMATCH",
        `Cannot use the topic "${spec.name}": it has ${found} partitions, wanted ${spec.partitions}`,
        { topic: spec.name, found, wanted: spec.partitions },
      );
    });
  }

  async partitionsOf(topic: string, signal: AbortSignal): Promise<number> {
    return await this.#retried(signal, async (stop) => {
      return (await this.#cluster.topic(topic, stop)).leaders.length;
    });
  }

  async endsOf(
    topic: string,
    partitions: readonly number[],
    signal: AbortSignal,
  ): Promise<readonly PartitionEnds[]> {
    return await this.#retried(
      signal,
      async (stop) => await endsOf(this.#cluster, topic, partitions, stop),
    );
  }

  async offsetAt(
    topic: string,
    partition: number,
    timeMs: number,
    signal: AbortSignal,
  ): Promise<number> {
    return await this.#retried(
      signal,
      async (stop) => await offsetAt(this.#cluster, topic, { partition, timeMs }, stop),
    );
  }

  async produce(
    topic: string,
    partition: number,
    batch: Uint8Array,
    signal: AbortSignal,
  ): Promise<number> {
    return await this.#guarded(
      signal,
      async (stop) => await this.#producer.produce({ topic, partition, batch }, stop),
    );
  }

  async fetch(
    positions: readonly FetchPosition[],
    limits: FetchLimits,
    signal: AbortSignal,
  ): Promise<readonly FetchedBytes[]> {
    return await this.#guarded(
      signal,
      async (stop) => await this.#fetcher.fetch(positions, limits, stop),
    );
  }

  async initProducer(signal: AbortSignal): Promise<ProducerIdentity> {
    return await this.#retried(signal, async (stop) => {
      const answer = await this.#cluster.any(initProducerIdCall, stop);
      const { errorCode: code, producerId, epoch } = answer;
      if (code === errorCode.none) return { producerId, epoch };
      throw new QmtlError(
        errorAdvice(code) === "never" ? "TRANSPORT_REJECTED" : "TRANSPORT_UNAVAILABLE",
        `Cannot become a producer: the broker says ${errorName(code)}`,
        { reason: errorName(code) },
      );
    });
  }

  async close(): Promise<void> {
    const reason = new QmtlError(
      "TRANSPORT_CLOSED",
      "Cannot go on: the transport is closed, wanted it open",
    );
    this.#closing.abort(reason);
    this.#cluster.close(reason);
  }

  /** Undefined if there is no such topic. */
  async #partitionsIfThere(topic: string, signal: AbortSignal): Promise<number | undefined> {
    const { topics } = await this.#cluster.any(metadataCall([topic]), signal);
    const found = topics.find(({ name }) => name === topic);
    return found?.errorCode === errorCode.none ? found.leaders.length : undefined;
  }

  async #retried<T>(signal: AbortSignal, run: (stop: AbortSignal) => Promise<T>): Promise<T> {
    const forMsMax = this.#config.unavailableMsMax;
    return await this.#guarded(
      signal,
      async (stop) => await retrying(async () => await run(stop), { forMsMax, signal: stop }),
    );
  }

  /** Runs under a signal that both the caller and `close` can abort. */
  async #guarded<T>(signal: AbortSignal, run: (stop: AbortSignal) => Promise<T>): Promise<T> {
    const closing = this.#closing.signal;
    closing.throwIfAborted();
    signal.throwIfAborted();
    try {
      return await run(this.#stopOf(signal));
    } catch (error) {
      // A connection that `close` ended says so in its own words.
      if (closing.aborted && !hasCode(error, "TRANSPORT_CLOSED")) throw reasonOf(closing);
      throw error;
    }
  }

  /** One a caller's signal, which comes with thousands of calls: making one takes 20 µs. */
  #stopOf(signal: AbortSignal): AbortSignal {
    let stop = this.#stops.get(signal);
    if (stop === undefined) {
      stop = AbortSignal.any([signal, this.#closing.signal]);
      this.#stops.set(signal, stop);
    }
    return stop;
  }
}

function checkSpec({ name, partitions, replication, minInsyncReplicas }: TopicSpec): void {
  const isCount = Number.isInteger(partitions) && partitions >= 1 && partitions <= partitionsMax;
  if (!isTopicName(name) || !isCount) {
    throw new QmtlError(
      "TRANSPORT_REJECTED",
      `Cannot make the topic "${name}": it has ${partitions} partitions, wanted 1 to ${partitionsMax} and a name of 1 to 249 letters, digits, dots, dashes and underscores`,
      { topic: name },
    );
  }
  if ((minInsyncReplicas ?? 1) <= (replication ?? minInsyncReplicas ?? 1)) return;
  throw new QmtlError(
    "TRANSPORT_REJECTED",
    `Cannot make the topic "${name}": minInsyncReplicas is ${minInsyncReplicas}, wanted at most the ${replication} replicas, or nothing could be written`,
    { topic: name },
  );
}
