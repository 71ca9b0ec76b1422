import { QmtlError, systemClock } from "../../../runtime/index.ts";
import { type KafkaConfig } from "../config.ts";
import { errorAdvice, errorCode, errorName } from "../protocol/error-codes.ts";
import { metadataCall } from "../protocol/metadata.ts";
import { abortable } from "../session/abortable.ts";
import { BackOff } from "../session/back-off.ts";
import { Channel } from "../session/channel.ts";
import { addressText, type BrokerAddress } from "../wire/address.ts";
import { type Call } from "../wire/connection.ts";
import { retrying } from "./retrying.ts";

/** Who leads each partition of a topic. */
export interface TopicLeaders {
  /** Node ID by partition; -1: none at the moment. */
  readonly leaders: readonly number[];
}

interface Known extends TopicLeaders {
  isStale: boolean;
  readonly loadedAtMs: number;
}

/** What a channel is for: a fetch waits on the broker, and nothing else may wait behind it. */
export type ChannelUse = "ask" | "fetch";

/** A topic made a moment ago may be unknown to a broker for this long, ms. */
export const unknownMsMax = 500;
/** A topic's leaders are asked for at most this often. */
const refreshMsMin = 100;

/**
 * Brokers, leaders and the connections to them.
 *
 *   K1  What is known of a topic is used until somebody marks it stale; then it is asked for again
 *       in the background, from any broker that answers.
 *   K2  One channel per broker and use, gone when the broker leaves the cluster.
 */
export class Cluster {
  readonly #config: KafkaConfig;
  readonly #closing = new AbortController();
  readonly #channels = new Map<string, Channel>();
  readonly #topics = new Map<string, Known>();
  readonly #loading = new Map<string, Promise<TopicLeaders>>();
  #brokers: ReadonlyMap<number, BrokerAddress> = new Map();
  #turn = 0;
  /** Why it is closed; undefined while it is open. */
  #closed: QmtlError | undefined;
  /** Called when leaders became known or changed. */
  onChange: () => void = () => undefined;

  constructor(config: KafkaConfig) {
    this.#config = config;
  }

  /** Leaders as last heard, without waiting. */
  peek(topic: string): TopicLeaders | undefined {
    return this.#topics.get(topic);
  }

  /** @throws QmtlError TOPIC_UNKNOWN, TRANSPORT_REJECTED, TRANSPORT_UNAVAILABLE. */
  async topic(topic: string, signal: AbortSignal): Promise<TopicLeaders> {
    const known = this.#topics.get(topic);
    if (known?.isStale === false) return known;
    return await abortable(this.#load(topic), signal);
  }

  /** Partition count once each has a leader: what was made a moment ago is ready for use then. */
  async partitions(topic: string, signal: AbortSignal): Promise<number> {
    const { leaders } = await this.topic(topic, signal);
    if (leaders.every((leader) => leader >= 0)) return leaders.length;
    this.markStale(topic);
    throw new QmtlError(
      "TRANSPORT_UNAVAILABLE",
      `Cannot use the topic "${topic}": a partition has no leader, wanted one for each`,
      { topic },
    );
  }

  /** What is known of `topic` turned out wrong: asks anew in the background (K1). */
  markStale(topic: string): void {
    const known = this.#topics.get(topic);
    if (known === undefined || known.isStale) return;
    known.isStale = true;
    // Who waits for the topic gets the error; a fetch finds it gone and asks.
    this.#load(topic).catch(() => undefined);
  }

  /** The leader's address; undefined if there is none at the moment. */
  leaderOf({ leaders }: TopicLeaders, partition: number): BrokerAddress | undefined {
    return this.#brokers.get(leaders[partition] ?? -1);
  }

  /**
   * The channel to the leader of `partition`.
   *
   * @throws QmtlError TOPIC_UNKNOWN, TRANSPORT_UNAVAILABLE if it has no leader at the moment.
   */
  async leader(topic: string, partition: number, signal: AbortSignal): Promise<Channel> {
    const known = await this.topic(topic, signal);
    this.checkPartition(topic, known, partition);
    const address = this.leaderOf(known, partition);
    if (address !== undefined) return this.channel("ask", address);
    this.markStale(topic);
    throw new QmtlError(
      "TRANSPORT_UNAVAILABLE",
      `Cannot reach partition ${partition} of "${topic}": it has no leader, wanted one`,
      { topic, partition, sent: false },
    );
  }

  /** @throws QmtlError TOPIC_UNKNOWN if the topic has no such partition. */
  checkPartition(topic: string, { leaders }: TopicLeaders, partition: number): void {
    if (leaders[partition] !== undefined) return;
    throw new QmtlError(
      "TOPIC_UNKNOWN",
      `Cannot use partition ${partition} of "${topic}": it has ${leaders.length} partitions, wanted 0 to ${leaders.length - 1}`,
      { topic, partition },
    );
  }

  /** The channel to `address`; made if need be, connected when it is used (K2). */
  channel(use: ChannelUse, address: BrokerAddress): Channel {
    const name = `${use} ${addressText(address)}`;
    let channel = this.#channels.get(name);
    if (channel === undefined) {
      channel = new Channel(address, this.#config.wire);
      this.#channels.set(name, channel);
      // A call that was under way during `close` must not bring up what nobody would end.
      if (this.#closed !== undefined) channel.close(this.#closed);
    }
    return channel;
  }

  /**
   * The answer of the first broker that gives one.
   *
   * @throws QmtlError TRANSPORT_UNAVAILABLE if none does; `call` must be safe to repeat.
   */
  async any<T>(call: Call<T>, signal: AbortSignal): Promise<T> {
    const addresses = [...this.#brokers.values(), ...this.#config.seeds];
    const channels = [...new Set(addresses.map((address) => this.channel("ask", address)))];
    this.#turn += 1;
    const start = this.#turn % channels.length;
    const turned = [...channels.slice(start), ...channels.slice(0, start)];
    let failure: unknown;
    for (const isOpen of [true, false]) {
      for (const channel of turned.filter((one) => one.isOpen === isOpen)) {
        signal.throwIfAborted();
        try {
          return await abortable(channel.call(call), signal);
        } catch (error) {
          if (!(error instanceof QmtlError) || error.code !== "TRANSPORT_UNAVAILABLE") throw error;
          failure = error;
        }
      }
    }
    throw failure;
  }

  /** Ends all connections; calls fail with `reason`. */
  close(reason: QmtlError): void {
    this.#closed ??= reason;
    this.#closing.abort(reason);
    for (const channel of this.#channels.values()) channel.close(reason);
    this.#channels.clear();
  }

  async #load(topic: string): Promise<TopicLeaders> {
    let loading = this.#loading.get(topic);
    if (loading === undefined) {
      const limits = {
        forMsMax: this.#config.unavailableMsMax,
        signal: this.#closing.signal,
      };
      const load = async (): Promise<TopicLeaders> => await this.#ask(topic);
      loading = retrying(load, limits).finally(() => this.#loading.delete(topic));
      this.#loading.set(topic, loading);
    }
    return await loading;
  }

  async #ask(topic: string): Promise<TopicLeaders> {
    const { signal } = this.#closing;
    const restMs = (this.#topics.get(topic)?.loadedAtMs ?? 0) + refreshMsMin - performance.now();
    if (this.#topics.has(topic) && restMs > 0) await systemClock.sleep(restMs, signal);
    const endMs = performance.now() + unknownMsMax;
    const backOff = new BackOff(20, 200);
    for (;;) {
      const { brokers, topics } = await this.any(metadataCall([topic]), signal);
      this.#useBrokers(brokers);
      const found = topics.find(({ name }) => name === topic);
      const code = found?.errorCode ?? errorCode.unknownTopicOrPartition;
      if (found !== undefined && code === errorCode.none) {
        const leaders = Array.from(found.leaders, (leader) => leader ?? -1);
        const known = { leaders, isStale: false, loadedAtMs: performance.now() };
        this.#topics.set(topic, known);
        this.onChange();
        return known;
      }
      if (errorAdvice(code) === "never" || performance.now() > endMs) {
        this.#topics.delete(topic);
        this.onChange();
        throw this.#topicError(topic, code);
      }
      await systemClock.sleep(backOff.next(), signal);
    }
  }

  #topicError(topic: string, code: number): QmtlError {
    const isUnknown = code === errorCode.unknownTopicOrPartition || code === errorCode.invalidTopic;
    return new QmtlError(
      isUnknown ? "TOPIC_UNKNOWN" : "TRANSPORT_REJECTED",
      `Cannot use the topic "${topic}": the broker says ${errorName(code)}, wanted a topic that was made and that we may use`,
      { topic, reason: errorName(code) },
    );
  }

  #useBrokers(brokers: ReadonlyMap<number, BrokerAddress>): void {
    if (brokers.size === 0) return;
    this.#brokers = brokers;
    const kept = new Set([...brokers.values(), ...this.#config.seeds].map(addressText));
    for (const [name, channel] of this.#channels) {
      if (kept.has(addressText(channel.address))) continue;
      this.#channels.delete(name);
      channel.close(
        new QmtlError(
          "TRANSPORT_UNAVAILABLE",
          `Cannot talk to the broker ${addressText(channel.address)}: it left the cluster`,
        ),
      );
    }
  }
}
