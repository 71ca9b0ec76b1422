import { type BrokerAddress } from "../wire/address.ts";
import { type Call } from "../wire/connection.ts";
import { type Api } from "../wire/request-writer.ts";

/** Metadata, which names brokers and leaders. */
export const metadataApi: Api = { name: "Metadata", key: 3, version: 7 };

/** One topic as a broker sees it. */
export interface TopicMetadata {
  readonly errorCode: number;
  readonly name: string;
  /** Node ID of each partition's leader, -1 where there is none; undefined: no such partition. */
  readonly leaders: readonly (number | undefined)[];
}

/** Brokers by node ID, and the topics that were asked for. */
export interface ClusterMetadata {
  readonly brokers: ReadonlyMap<number, BrokerAddress>;
  readonly topics: readonly TopicMetadata[];
}

/** Partitions a topic may have, at most. */
const partitionsMax = 1_000_000;

/**
 * Metadata v7 of `topics`; none is made by asking.
 *
 *   request   topics [ name ] · may create bool
 *   answer    throttle i32 · brokers [ id i32 · host · port i32 · rack ] · cluster · controller i32
 *             topics [ error i16 · name · internal bool · partitions [ error i16 · index i32
 *               leader i32 · epoch i32 · replicas [i32] · in sync [i32] · offline [i32] ] ]
 */
export function metadataCall(topics: readonly string[]): Call<ClusterMetadata> {
  return {
    api: metadataApi,
    encode(writer) {
      writer.int32(topics.length);
      for (const topic of topics) writer.string(topic);
      writer.int8(0);
    },
    decode(reader) {
      reader.int32();
      const brokers = new Map<number, BrokerAddress>();
      for (let left = reader.count(12); left > 0; left -= 1) {
        const id = reader.int32();
        brokers.set(id, { host: reader.string(), port: reader.int32() });
        reader.string();
      }
      reader.string();
      reader.int32();
      const found: TopicMetadata[] = [];
      for (let left = reader.count(9); left > 0; left -= 1) {
        const errorCode = reader.int16();
        const name = reader.string();
        reader.int8();
        const leaders: (number | undefined)[] = [];
        for (let rest = reader.count(26); rest > 0; rest -= 1) {
          reader.int16();
          const index = reader.int32();
          const leader = reader.int32();
          reader.int32();
          for (let list = 0; list < 3; list += 1) reader.skip(reader.count(4) * 4);
          if (index >= 0 && index < partitionsMax) leaders[index] = leader;
        }
        found.push({ errorCode, name, leaders });
      }
      return { brokers, topics: found };
    },
  };
}
