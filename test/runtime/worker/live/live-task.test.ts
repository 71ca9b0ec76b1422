import { expect, test } from "bun:test";
import { openTransport } from "../../../../connectors/memory/index.ts";
import { paceDefaults } from "../../../../runtime/engine/live/live-limits.ts";
import { stagedOf } from "../../../../runtime/graph/stages.ts";
import { prepare } from "../../../../runtime/graph/strategy.ts";
import { type StrategyClass } from "../../../../runtime/index.ts";
import { newBoardMemory } from "../../../../runtime/worker/live/board.ts";
import { LiveTask } from "../../../../runtime/worker/live/live-task.ts";
import { SameKey, Spreads } from "../../../integrity/join-strategies.ts";
import { Means } from "../../../integrity/live-strategies.ts";

const signal = AbortSignal.timeout(10_000);

/** The tasks of a strategy in partition 0, stage by stage. */
async function tasksOf(strategy: StrategyClass, symbols: readonly string[]) {
  const staged = stagedOf(prepare(strategy, { symbols, interval: "1m" }).graph);
  const transport = await openTransport("memory:", signal);
  const order = {
    strategy: { module: "", exportName: "" },
    flags: { symbols, interval: "1m" },
    ids: [],
    deployment: "test",
    run: "test",
    transport: { module: "", export: "", url: "" },
    state: undefined,
    inputs: staged.graph.nodes
      .filter(({ kind }) => kind === "stream")
      .map(({ index, name }) => ({ stream: index, topic: name })),
    outputs: [],
    partitions: [0],
    offsetReset: "earliest" as const,
    pace: paceDefaults,
    recordsMax: undefined,
    latency: undefined,
    quarantined: [],
    isPoisoning: true,
    thread: 0,
    board: newBoardMemory(1),
  };
  const context = {
    order,
    staged,
    transport,
    producer: undefined,
    heartbeat: new Int32Array(2),
    profile: undefined,
    source: 1,
    sendSignal: signal,
    quarantinedIn: () => new Set<number>(),
    onDeadLetter: () => undefined,
    onRow: () => undefined,
    onOutputs: () => undefined,
    forwarderOf: () => undefined,
  };
  const tasks = [...staged.stages.keys()].map((stage) => new LiveTask(context, stage, 0));
  await transport.close();
  return tasks;
}

test("a task of one stream reads one topic and waits for nothing", async () => {
  const [task, ...rest] = await tasksOf(Means, ["in", "out"]);
  expect(rest).toEqual([]);
  expect(task!.feeds.map(({ topic, isInput }) => [topic, isInput])).toEqual([["stream_1m", true]]);
  expect(task!.progress).toBeUndefined();
});

test("a task of joined topics reads each of them, and one state holds them all", async () => {
  const [task, ...rest] = await tasksOf(SameKey, ["left", "right", "out", "A", "B"]);
  expect(rest).toEqual([]);
  expect(task!.feeds).toHaveLength(2);
  expect(task!.feeds.map(({ reader }) => reader.loops[0]!.node.index)).toEqual([0, 1]);
  expect(task!.progress).toBeDefined();
  // Keys of two feeds; windows of two streams and the join; …
  expect(task!.parts().length).toBeGreaterThan(5);
});

test("a task behind a repartition reads one topic a join, with the join's keys", async () => {
  const [source, joined] = await tasksOf(Spreads, ["in", "out", "A|B", "A|C"]);
  expect(source!.feeds).toHaveLength(1);
  expect(source!.depth).toBe(0);
  expect(joined!.depth).toBe(1);
  const [feed, ...others] = joined!.feeds;
  expect(others).toEqual([]);
  expect(feed!.isInput).toBe(false);
  expect(feed!.reader.loops).toHaveLength(2);
  expect([feed!.reader.keys.textOf(0), feed!.reader.keys.textOf(1)]).toEqual(["A|B", "A|C"]);
});
