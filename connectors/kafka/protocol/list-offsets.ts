import { type Call } from "../wire/connection.ts";
import { type Api } from "../wire/request-writer.ts";

/** ListOffsets, which finds offsets by time. */
export const listOffsetsApi: Api = { name: "ListOffsets", key: 2, version: 5 };

/** Times that mean an end of the log. */
export const offsetTime = { latest: -1, earliest: -2 } as const;

/** One question. */
export interface OffsetQuery {
  readonly partition: number;
  /** First offset whose record time is at or after it, ms; or one of `offsetTime`. */
  readonly timeMs: number;
}

/** One answer. */
export interface OffsetAnswer {
  readonly partition: number;
  readonly errorCode: number;
  /** -1 if no record is as new. */
  readonly offset: number;
}

/**
 * ListOffsets v5 of one topic, as a read-uncommitted reader. A partition may be asked for once
 * per request: the broker refuses it otherwise.
 *
 *   request   replica i32 = -1 · isolation i8 = 0 · topics [ name
 *               partitions [ index i32 · leader epoch i32 = -1 · time i64 ] ]
 *   answer    throttle i32 · topics [ name
 *               partitions [ index i32 · error i16 · time i64 · offset i64 · leader epoch i32 ] ]
 */
export function listOffsetsCall(
  topic: string,
  queries: readonly OffsetQuery[],
): Call<readonly OffsetAnswer[]> {
  return {
    api: listOffsetsApi,
    encode(writer) {
      writer.int32(-1);
      writer.int8(0);
      writer.int32(1);
      writer.string(topic);
      writer.int32(queries.length);
      for (const { partition, timeMs } of queries) {
        writer.int32(partition);
        writer.int32(-1);
        writer.int64(timeMs);
      }
    },
    decode(reader) {
      const answers: OffsetAnswer[] = [];
      reader.int32();
      for (let left = reader.count(6); left > 0; left -= 1) {
        reader.string();
        for (let rest = reader.count(26); rest > 0; rest -= 1) {
          const partition = reader.int32();
          const errorCode = reader.int16();
          reader.int64();
          answers.push({ partition, errorCode, offset: reader.int64() });
          reader.int32();
        }
      }
      return answers;
    },
  };
}
