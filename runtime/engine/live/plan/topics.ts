import { type ConnectorRef, openByRef } from "../../../contract/connector.ts";
import { type OpenTransport, type Transport } from "../../../contract/transport.ts";
import { QmtlError } from "../../../core/errors.ts";
import { type Graph } from "../../../graph/graph.ts";
import { repartitionTopic, type StagedGraph } from "../../../graph/stages.ts";

/** How long a repartition topic keeps what was forwarded: what a join has to catch up with, ms. */
const forwardedMs = 7 * 86_400_000;

/** A topic with the stream that is read from it, the first if they are several. */
export interface InputTopic {
  readonly stream: number;
  readonly topic: string;
}

/** A topic with the node that is published to it. */
export interface OutputTopic {
  readonly node: number;
  readonly topic: string;
}

/** All topics of a live run. */
export interface LiveTopics {
  /** Those of the streams that the strategy declares: they have to be there. */
  readonly read: readonly InputTopic[];
  /** One definition a topic, so that its offsets are its own. */
  readonly outputs: readonly OutputTopic[];
  /** The repartition topics, one a join that has one. */
  readonly forwarded: readonly InputTopic[];
}

/**
 * The topics that a plan reads and writes, by name alone.
 *
 * @throws QmtlError PUBLISH_TOPIC_SHARED if a topic would be two nodes', or an input as well.
 */
export function topicsOf(staged: StagedGraph): LiveTopics {
  const read = inputTopics(staged);
  return { read, outputs: outputTopics(staged.graph, read), forwarded: forwardedTopics(staged) };
}

/**
 * Checks the input topics, makes all others, and returns the partition count of all.
 *
 * @throws QmtlError TOPIC_UNKNOWN, TOPIC_PARTITIONS_MISMATCH, or what the transport fails with.
 */
export async function readyTopics(
  ref: ConnectorRef,
  { read, outputs, forwarded }: LiveTopics,
  signal: AbortSignal,
): Promise<number> {
  const open = await openByRef<OpenTransport>(ref);
  const transport: Transport = await open(ref.url, signal);
  try {
    const counts = await Promise.all(
      read.map(async ({ topic }) => await transport.partitionsOf(topic, signal)),
    );
    const partitions = counts[0] ?? 0;
    const other = counts.findIndex((count) => count !== partitions);
    if (other >= 0) {
      throw new QmtlError(
        "TOPIC_PARTITIONS_MISMATCH",
        `Cannot run live: "${read[other]?.topic}" has ${counts[other]} partitions, "${read[0]?.topic}" ${partitions}, wanted the same count`,
      );
    }
    for (const { topic } of outputs)
      await transport.ensureTopic({ name: topic, partitions }, signal);
    for (const { topic } of forwarded) {
      await transport.ensureTopic({ name: topic, partitions, retentionMs: forwardedMs }, signal);
    }
    return partitions;
  } finally {
    await transport.close();
  }
}

/** The topic of each stream that the strategy declares. */
function inputTopics({ graph, forwards }: StagedGraph): readonly InputTopic[] {
  const forwarded = new Set(forwards.map(({ to }) => to));
  return graph.nodes
    .filter(({ index, kind }) => kind === "stream" && !forwarded.has(index))
    .map(({ index, source, definitionId }) => {
      const isNamed = source !== undefined && "topic" in source;
      return { stream: index, topic: isNamed ? source.topic : `qmtl.stream.${definitionId}` };
    });
}

/** The repartition topic of each join that has one. */
function forwardedTopics({ graph, forwards }: StagedGraph): readonly InputTopic[] {
  return forwards
    .filter(({ input }) => input === 0)
    .flatMap(({ join, to }) => {
      const node = graph.nodes[join];
      return node === undefined ? [] : [{ stream: to, topic: repartitionTopic(node) }];
    });
}

/** The topic of each published node. */
function outputTopics(graph: Graph, inputs: readonly InputTopic[]): readonly OutputTopic[] {
  const outputs = graph.nodes.flatMap(({ index, kind, publish, definitionId }) => {
    if (kind === "stream" || publish === false) return [];
    const topic = publish === true ? `qmtl.stream.${definitionId}` : publish.topic;
    return [{ node: index, topic }];
  });
  const topics = outputs.map(({ topic }) => topic);
  const shared = topics.find((topic, i) => topics.indexOf(topic) !== i);
  if (shared !== undefined) {
    throw new QmtlError(
      "PUBLISH_TOPIC_SHARED",
      `Cannot publish two nodes to "${shared}": found ${topics.filter((topic) => topic === shared).length}, wanted one definition a topic`,
      { topic: shared },
    );
  }
  const own = topics.find((topic) => inputs.some((input) => input.topic === topic));
  if (own !== undefined) {
    throw new QmtlError(
      "PUBLISH_TOPIC_SHARED",
      `Cannot publish to "${own}": the strategy reads it as an input, wanted a topic of its own`,
      { topic: own },
    );
  }
  return outputs;
}
