import {
  AbortedTransactions,
  type FetchLimits,
  RecordBatchReader,
  RecordBatchWriter,
  type Transport,
} from "../../../runtime/index.ts";

/** Limits that wait long enough for any test. */
export const patient: FetchLimits = {
  waitMsMax: 5_000,
  partitionBytesMax: 1_048_576,
  bytesMax: 8_388_608,
};

/** A record as our own reader sees it. */
export interface ReadRecord {
  readonly offset: number;
  readonly key: string | null;
  readonly value: string;
}

/** Names a producer and its place in its sequence. */
export interface Sequence {
  readonly producerId: number;
  readonly epoch: number;
  readonly baseSequence: number;
}

/** One batch of `values`, by our own writer; idempotent if `sequence` is given. */
export function batchOf(values: readonly string[], sequence?: Sequence): Uint8Array {
  const writer = new RecordBatchWriter(4_194_304);
  const encoder = new TextEncoder();
  for (const [i, value] of values.entries()) {
    writer.append(1_704_067_200_000 + i, encoder.encode(`key ${i}`), encoder.encode(value));
  }
  if (sequence === undefined) return writer.finish().slice();
  const { producerId, epoch, baseSequence } = sequence;
  return writer.finish({ producer: { producerId, producerEpoch: epoch, baseSequence } }).slice();
}

/** The records of one partition from `from` on, until there are `count`. */
export async function readPartition(
  transport: Transport,
  topic: string,
  want: { readonly partition: number; readonly from?: number; readonly count: number },
): Promise<readonly ReadRecord[]> {
  const { partition, from = 0, count } = want;
  const records: ReadRecord[] = [];
  let offset = from;
  const signal = AbortSignal.timeout(120_000);
  while (records.length < count) {
    const answer = await transport.fetch([{ topic, partition, offset }], patient, signal);
    for (const fetched of answer) {
      records.push(...recordsIn(fetched).filter((record) => record.offset >= from));
      offset = fetched.nextOffset;
    }
  }
  return records;
}

/** What a read-committed reader takes from `fetched`. */
export function recordsIn(fetched: {
  readonly bytes: Uint8Array;
  readonly abortedTransactions?: readonly {
    readonly producerId: number;
    readonly firstOffset: number;
  }[];
}): readonly ReadRecord[] {
  const reader = new RecordBatchReader();
  const aborted = new AbortedTransactions();
  const decoder = new TextDecoder();
  const records: ReadRecord[] = [];
  aborted.begin(fetched.abortedTransactions ?? []);
  reader.open(fetched.bytes);
  while (reader.next()) {
    if (!aborted.accepts(reader)) continue;
    const { records: columns, bytes } = reader;
    const textAt = (at: number, length: number): string =>
      decoder.decode(bytes.subarray(at, at + Math.max(0, length)));
    for (let i = 0; i < reader.count; i += 1) {
      const keyLength = columns.keyLength[i]!;
      records.push({
        offset: columns.offset[i]!,
        key: keyLength < 0 ? null : textAt(columns.keyAt[i]!, keyLength),
        value: textAt(columns.valueAt[i]!, columns.valueLength[i]!),
      });
    }
  }
  return records;
}
