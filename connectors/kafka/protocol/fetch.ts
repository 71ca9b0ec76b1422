import {
  type AbortedTransaction,
  type BatchSpan,
  batchSpan,
  type FetchPosition,
} from "../../../runtime/index.ts";
import { type Call } from "../wire/connection.ts";
import { type Api } from "../wire/request-writer.ts";
import { type ResponseReader } from "../wire/response-reader.ts";

/** Fetch; v11 is the newest that names topics by name and is spoken by 3.x and 4.x alike. */
export const fetchApi: Api = { name: "Fetch", key: 1, version: 11 };

/** What is asked of one broker. */
export interface FetchQuery {
  readonly positions: readonly FetchPosition[];
  readonly isCommittedOnly: boolean;
  readonly waitMsMax: number;
  readonly bytesMax: number;
  readonly partitionBytesMax: number;
}

/** What came of one partition. */
export interface FetchedPartition {
  readonly topic: string;
  readonly partition: number;
  readonly errorCode: number;
  readonly stableEnd: number;
  readonly aborted: readonly AbortedTransaction[];
  /** View on the frame, which is kept if a partition has a whole batch; the last may be cut. */
  readonly bytes: Uint8Array;
  readonly span: BatchSpan;
}

/** One answer. */
export interface FetchAnswer {
  /** The broker wants no further request for this long. */
  readonly throttleMs: number;
  readonly errorCode: number;
  readonly partitions: readonly FetchedPartition[];
}

const noneAborted: readonly AbortedTransaction[] = [];

/**
 * Fetch v11 without a session: every request names all it wants.
 *
 *   request   replica i32 = -1 · max wait i32 · min bytes i32 = 1 · max bytes i32 · isolation i8
 *             session i32 = 0 · session epoch i32 = -1 · topics [ name · partitions [ index i32
 *               leader epoch i32 = -1 · offset i64 · log start i64 = -1 · max bytes i32 ] ]
 *             forgotten topics [] · rack ""
 *   answer    throttle i32 · error i16 · session i32 · topics [ name · partitions [ index i32
 *               error i16 · high watermark i64 · last stable i64 · log start i64
 *               aborted [ producer i64 · first offset i64 ] · preferred replica i32 · records ] ]
 */
export function fetchCall(query: FetchQuery): Call<FetchAnswer> {
  const { positions } = query;
  return {
    api: fetchApi,
    serverWaitMs: query.waitMsMax,
    encode(writer) {
      writer.int32(-1);
      writer.int32(query.waitMsMax);
      writer.int32(1);
      writer.int32(query.bytesMax);
      writer.int8(query.isCommittedOnly ? 1 : 0);
      writer.int32(0);
      writer.int32(-1);
      // Positions stay in the order given: the broker fills the answer in that order.
      const runs = runsOfTopic(positions);
      writer.int32(runs.length);
      for (const run of runs) {
        writer.string(run[0]?.topic);
        writer.int32(run.length);
        for (const { partition, offset } of run) {
          writer.int32(partition);
          writer.int32(-1);
          writer.int64(offset);
          writer.int64(-1);
          writer.int32(query.partitionBytesMax);
        }
      }
      writer.int32(0);
      writer.string("");
    },
    decode(reader) {
      const throttleMs = reader.int32();
      const errorCode = reader.int16();
      reader.int32();
      const partitions: FetchedPartition[] = [];
      for (let left = reader.count(6); left > 0; left -= 1) {
        const topic = reader.string();
        for (let rest = reader.count(42); rest > 0; rest -= 1) {
          partitions.push(readPartition(reader, topic));
        }
      }
      if (partitions.some(({ span }) => span.length > 0)) reader.keepFrame();
      return { throttleMs, errorCode, partitions };
    },
  };
}

function readPartition(reader: ResponseReader, topic: string): FetchedPartition {
  const partition = reader.int32();
  const errorCode = reader.int16();
  const highWatermark = reader.int64();
  const lastStable = reader.int64();
  reader.int64();
  const abortedCount = reader.count(16);
  const aborted =
    abortedCount === 0
      ? noneAborted
      : Array.from({ length: abortedCount }, () => ({
          producerId: reader.int64(),
          firstOffset: reader.int64(),
        }));
  reader.int32();
  // A read-uncommitted fetch is not told where the stable records end.
  const stableEnd = lastStable < 0 ? highWatermark : lastStable;
  const bytes = reader.bytes();
  return { topic, partition, errorCode, stableEnd, aborted, bytes, span: batchSpan(bytes) };
}

/** `positions` cut where the topic changes. */
function runsOfTopic(positions: readonly FetchPosition[]): readonly (readonly FetchPosition[])[] {
  const runs: FetchPosition[][] = [];
  for (const position of positions) {
    const run = runs.at(-1);
    if (run?.[0]?.topic === position.topic) run.push(position);
    else runs.push([position]);
  }
  return runs;
}
