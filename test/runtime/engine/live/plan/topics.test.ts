import { expect, test } from "bun:test";
import { connectors } from "../../../../../connectors/index.ts";
import { openTransport } from "../../../../../connectors/memory/index.ts";
import { readyTopics, topicsOf } from "../../../../../runtime/engine/live/plan/topics.ts";
import { repartitionTopic, stagedOf } from "../../../../../runtime/graph/stages.ts";
import { prepare } from "../../../../../runtime/graph/strategy.ts";
import { type StrategyClass } from "../../../../../runtime/index.ts";
import { failureOf } from "../../../../contract/failure-of.ts";
import { SameKey, Spreads } from "../../../../integrity/join-strategies.ts";
import { Loop, Means, PublicMeans, SharedTopic } from "../../../../integrity/live-strategies.ts";

const signal = AbortSignal.timeout(10_000);

function stagedFor(strategy: StrategyClass, symbols: readonly string[]) {
  return stagedOf(prepare(strategy, { symbols, interval: "1m" }).graph);
}

/** A log of its own in memory, with topics of so many partitions each. */
async function logOf(name: string, topics: Readonly<Record<string, number>>) {
  const url = `memory:topics-${name}`;
  const transport = await openTransport(url, signal);
  for (const [topic, partitions] of Object.entries(topics)) {
    await transport.ensureTopic({ name: topic, partitions }, signal);
  }
  return { transport, ref: connectors.refOf("transport", url) };
}

test("topicsOf() names inputs and outputs as the strategy does", () => {
  expect(topicsOf(stagedFor(Means, ["in", "out"]))).toEqual({
    read: [{ stream: 0, topic: "in" }],
    outputs: [{ node: 1, topic: "out" }],
    forwarded: [],
  });
});

test("topicsOf() names a topic after its definition if the strategy gives no name", () => {
  const staged = stagedFor(PublicMeans, ["in"]);
  const topic = `qmtl.stream.${staged.graph.nodes[1]!.definitionId}`;
  expect(topicsOf(staged).outputs).toEqual([{ node: 1, topic }]);
});

test("topicsOf() has one repartition topic a join, and none where equal keys meet", () => {
  const staged = stagedFor(Spreads, ["in", "out", "A|B"]);
  const { read, forwarded } = topicsOf(staged);
  const [first] = staged.forwards;
  const join = staged.graph.nodes[first!.join]!;
  expect(read.map(({ topic }) => topic)).toEqual(["in"]);
  expect(forwarded).toEqual([{ stream: first!.to, topic: repartitionTopic(join) }]);
  const same = topicsOf(stagedFor(SameKey, ["left", "right", "out", "A"]));
  expect(same.read.map(({ topic }) => topic)).toEqual(["left", "right"]);
  expect(same.forwarded).toEqual([]);
});

test("topicsOf() refuses a topic of two definitions, and one that is read as well", () => {
  expect(() => topicsOf(stagedFor(SharedTopic, ["in", "out"]))).toThrow(
    'Cannot publish two nodes to "out": found 2, wanted one definition a topic',
  );
  expect(() => topicsOf(stagedFor(Loop, ["in", "out"]))).toThrow(
    'Cannot publish to "in": the strategy reads it as an input, wanted a topic of its own',
  );
});

test("readyTopics() makes all that is not an input, with as many partitions", async () => {
  const { ref, transport } = await logOf("made", { in: 3 });
  const topics = topicsOf(stagedFor(Spreads, ["in", "out", "A|B"]));
  expect(await readyTopics(ref, topics, signal)).toBe(3);
  expect(await transport.partitionsOf("out", signal)).toBe(3);
  expect(await transport.partitionsOf(topics.forwarded[0]!.topic, signal)).toBe(3);
  // What is there already stays.
  expect(await readyTopics(ref, topics, signal)).toBe(3);
  await transport.close();
});

test("readyTopics() refuses inputs that differ in partitions, before it makes anything", async () => {
  const { ref, transport } = await logOf("unequal", { left: 2, right: 4 });
  const topics = topicsOf(stagedFor(SameKey, ["left", "right", "out", "A"]));
  const failure = await failureOf(readyTopics(ref, topics, signal));
  expect(failure).toMatchObject({
    code: "TOPIC_PARTITIONS_MISMATCH",
    message: 'Cannot run live: "right" has 4 partitions, "left" 2, wanted the same count',
  });
  expect(await failureOf(transport.partitionsOf("out", signal))).toMatchObject({
    code: "TOPIC_UNKNOWN",
  });
  await transport.close();
});
