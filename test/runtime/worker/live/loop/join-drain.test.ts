import { expect, test } from "bun:test";
import { type Feed } from "../../../../../runtime/worker/live/loop/feed-positions.ts";
import { drainJoins, type JoinDrain } from "../../../../../runtime/worker/live/loop/join-drain.ts";
import { stageDone } from "../../../../../runtime/worker/live/repartition/stage-gate.ts";

const signal = AbortSignal.timeout(10_000);

function feedOf(topic: string, partition: number, nextOffset: number): Feed {
  const reader = { partition, nextOffset };
  return { topic, isInput: topic === "in", isHeld: false, position: 0, reader };
}

/** A drain over topics that end at 5; a fetch brings two records of each feed. */
function drainOf(tasks: JoinDrain<Feed>["tasks"]) {
  const calls: string[] = [];
  const drain: JoinDrain<Feed> = {
    tasks,
    forwards: { idle: async () => void calls.push("idle") },
    gate: { pass: async (stage) => void calls.push(`pass ${stage}`) },
    positions: {
      endsOf: async () => ({ start: 0, end: 5 }),
      fetchAgain: async (feeds) => {
        const names = feeds.map(({ topic, reader }) => `${topic}@${reader.nextOffset}`);
        calls.push(`fetch ${names.join(" ")}`);
        for (const { reader } of feeds) reader.nextOffset = Math.min(5, reader.nextOffset + 2);
        return [];
      },
    },
    turn: async () => void calls.push("turn"),
  };
  return { calls, drain };
}

test("a depth is drained to its end when all threads have forwarded to it, before the next (V6)", async () => {
  const { calls, drain } = drainOf([
    { depth: 2, feeds: [feedOf("second", 0, 4)] },
    { depth: 1, feeds: [feedOf("left", 0, 1), feedOf("right", 0, 4)] },
    { depth: 0, feeds: [feedOf("in", 0, 0)] },
  ]);
  await drainJoins(drain, 2, signal);
  expect(calls).toEqual([
    "idle",
    `pass ${stageDone.forwarded}`,
    "fetch left@1 right@4",
    "turn",
    "fetch left@3",
    "turn",
    "idle",
    `pass ${stageDone.forwarded + 1}`,
    "fetch second@4",
    "turn",
  ]);
});

test("what is at its end already is not fetched again", async () => {
  const { calls, drain } = drainOf([{ depth: 1, feeds: [feedOf("left", 0, 5)] }]);
  await drainJoins(drain, 1, signal);
  expect(calls).toEqual(["idle", `pass ${stageDone.forwarded}`]);
});
