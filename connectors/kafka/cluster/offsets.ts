import { type PartitionEnds, QmtlError } from "../../../runtime/index.ts";
import { errorAdvice, errorName } from "../protocol/error-codes.ts";
import { listOffsetsCall, type OffsetQuery, offsetTime } from "../protocol/list-offsets.ts";
import { abortable } from "../session/abortable.ts";
import { type Channel } from "../session/channel.ts";
import { type Cluster } from "./cluster.ts";

/** Ends of each of `partitions`, in their order. Throws as `Cluster.leader` does. */
export async function endsOf(
  cluster: Cluster,
  topic: string,
  partitions: readonly number[],
  signal: AbortSignal,
): Promise<readonly PartitionEnds[]> {
  const ask = async (timeMs: number): Promise<ReadonlyMap<number, number>> =>
    await listOffsets(cluster, topic, queriesOf(partitions, timeMs), signal);
  // The start first: it only grows, and must not come out behind the end.
  const starts = await ask(offsetTime.earliest);
  const ends = await ask(offsetTime.latest);
  return partitions.map((partition) => ({
    start: starts.get(partition) ?? 0,
    end: ends.get(partition) ?? 0,
  }));
}

/** First offset of `partition` whose record time is at or after `timeMs`, or the end. */
export async function offsetAt(
  cluster: Cluster,
  topic: string,
  { partition, timeMs }: OffsetQuery,
  signal: AbortSignal,
): Promise<number> {
  // Times below zero mean something else to the broker.
  const query = { partition, timeMs: Math.max(0, Math.ceil(timeMs)) };
  const found = (await listOffsets(cluster, topic, [query], signal)).get(partition) ?? -1;
  if (found >= 0) return found;
  const latest = queriesOf([partition], offsetTime.latest);
  return (await listOffsets(cluster, topic, latest, signal)).get(partition) ?? 0;
}

function queriesOf(partitions: readonly number[], timeMs: number): readonly OffsetQuery[] {
  return [...new Set(partitions)].map((partition) => ({ partition, timeMs }));
}

async function listOffsets(
  cluster: Cluster,
  topic: string,
  queries: readonly OffsetQuery[],
  signal: AbortSignal,
): Promise<ReadonlyMap<number, number>> {
  const byLeader = new Map<Channel, OffsetQuery[]>();
  for (const query of queries) {
    const channel = await cluster.leader(topic, query.partition, signal);
    const asked = byLeader.get(channel);
    if (asked === undefined) byLeader.set(channel, [query]);
    else asked.push(query);
  }
  const asking = [...byLeader].map(async ([channel, asked]) => {
    try {
      return await abortable(channel.call(listOffsetsCall(topic, asked)), signal);
    } catch (error) {
      cluster.markStale(topic);
      throw error;
    }
  });
  const offsets = new Map<number, number>();
  for (const { partition, errorCode, offset } of (await Promise.all(asking)).flat()) {
    if (errorCode !== 0) throw refusal(cluster, { topic, partition, errorCode });
    offsets.set(partition, offset);
  }
  return offsets;
}

function refusal(
  cluster: Cluster,
  { topic, partition, errorCode }: { topic: string; partition: number; errorCode: number },
): QmtlError {
  const advice = errorAdvice(errorCode);
  if (advice === "leader") cluster.markStale(topic);
  return new QmtlError(
    advice === "never" ? "TRANSPORT_REJECTED" : "TRANSPORT_UNAVAILABLE",
    `Cannot find offsets of partition ${partition} of "${topic}": the broker says ${errorName(errorCode)}`,
    { topic, partition, reason: errorName(errorCode) },
  );
}
