import { type Call } from "../wire/connection.ts";
import { type Api } from "../wire/request-writer.ts";

/** InitProducerId, which names an idempotent producer. */
export const initProducerIdApi: Api = { name: "InitProducerId", key: 22, version: 1 };

/** A producer's new name, or the code of the refusal. */
export interface InitProducerIdAnswer {
  readonly errorCode: number;
  readonly producerId: number;
  readonly epoch: number;
}

/**
 * InitProducerId v1 without a transactional id: a new producer at each call.
 *
 *   request   transactional id = null · transaction timeout i32
 *   answer    throttle i32 · error i16 · producer id i64 · epoch i16
 */
export const initProducerIdCall: Call<InitProducerIdAnswer> = {
  api: initProducerIdApi,
  encode(writer) {
    writer.string(undefined);
    writer.int32(60_000);
  },
  decode(reader) {
    reader.int32();
    return { errorCode: reader.int16(), producerId: reader.int64(), epoch: reader.int16() };
  },
};
