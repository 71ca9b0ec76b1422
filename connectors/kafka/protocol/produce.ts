import { type Call } from "../wire/connection.ts";
import { type Api } from "../wire/request-writer.ts";

/** Produce. */
export const produceApi: Api = { name: "Produce", key: 0, version: 8 };

/** One record batch on its way. */
export interface ProducePart {
  readonly topic: string;
  readonly partition: number;
  readonly batch: Uint8Array;
  /** True once its caller has left: the bytes are no longer ours to read. */
  readonly isAbandoned: boolean;
}

/** What became of one batch. */
export interface ProducedPart {
  readonly topic: string;
  readonly partition: number;
  readonly errorCode: number;
  /** -1 if the broker did not say. */
  readonly baseOffset: number;
  /** The broker's own words; empty if it had none. */
  readonly message: string;
}

/** What the broker says to a request. */
export interface ProduceAnswer {
  /** How long it reads nothing more from this connection. */
  readonly throttleMs: number;
  readonly parts: readonly ProducedPart[];
}

/**
 * Produce v8 with acks=all: one batch per partition.
 *
 *   request   transactional id = null · acks i16 = -1 · timeout i32 · topics [ name
 *               partitions [ index i32 · records ] ]
 *   answer    topics [ name · partitions [ index i32 · error i16 · base offset i64 · append time i64
 *               log start i64 · record errors [ index i32 · message ] · message ] ] · throttle i32
 */
export function produceCall(
  parts: readonly ProducePart[],
  replicasMsMax: number,
): Call<ProduceAnswer> {
  return {
    api: produceApi,
    encode(writer) {
      writer.string(undefined);
      writer.int16(-1);
      writer.int32(replicasMsMax);
      const byTopic = Map.groupBy(
        parts.filter((part) => !part.isAbandoned),
        ({ topic }) => topic,
      );
      writer.int32(byTopic.size);
      for (const [topic, sent] of byTopic) {
        writer.string(topic);
        writer.int32(sent.length);
        for (const { partition, batch } of sent) {
          writer.int32(partition);
          writer.bytes(batch);
        }
      }
    },
    decode(reader) {
      const answered: ProducedPart[] = [];
      for (let left = reader.count(6); left > 0; left -= 1) {
        const topic = reader.string();
        for (let rest = reader.count(36); rest > 0; rest -= 1) {
          const partition = reader.int32();
          const errorCode = reader.int16();
          const baseOffset = reader.int64();
          reader.skip(16);
          let words = "";
          for (let errors = reader.count(6); errors > 0; errors -= 1) {
            reader.int32();
            words ||= reader.string();
          }
          const message = reader.string() || words;
          answered.push({ topic, partition, errorCode, baseOffset, message });
        }
      }
      return { throttleMs: reader.int32(), parts: answered };
    },
  };
}
