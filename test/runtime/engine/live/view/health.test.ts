/**
 * Goal: each cause of a failing run is found and named, and nothing else is. Method: a board and
 * meters written by hand, and a clock that the test owns.
 */
import { afterEach, expect, test } from "bun:test";
import { newLog } from "../../../../../runtime/core/log.ts";
import { LiveHealth } from "../../../../../runtime/engine/live/view/health.ts";
import { BoardRow, newBoardMemory } from "../../../../../runtime/worker/live/board.ts";
import {
  newMeterMemory,
  PartitionMeter,
  partitionFields,
  ThreadMeter,
  threadFields,
} from "../../../../../runtime/worker/live/meters.ts";

const opened: LiveHealth[] = [];

afterEach(() => {
  for (const health of opened.splice(0)) health.close();
});

/** Two threads with a partition each, as far as a test has moved them. */
function watched(checkpointMs?: number) {
  const time = { ms: 1_000_000 };
  const board = newBoardMemory(2);
  const memory = newMeterMemory({ threads: 2, inputs: 1, partitionsPerInput: 2, nodes: 3 });
  const rows = [0, 1].map((thread) => new BoardRow(board, thread));
  for (const row of rows) row.begin();
  const lines: Record<string, unknown>[] = [];
  const health = new LiveHealth({
    rows,
    meters: [0, 1].map((thread) => new ThreadMeter(memory, thread)),
    partitions: [0, 1].map((partition) => ({
      stream: "bars",
      topic: "in",
      partition,
      thread: partition,
      meter: new PartitionMeter(memory, 0, partition),
    })),
    nameOf: (node) => `node${node}`,
    joinOf: ({ join, input, slot }) => ({
      join: `node${join}`,
      input: `input${input}`,
      key: `key${slot}`,
    }),
    stallMsMax: 500,
    silentMsMax: 10_000,
    checkpointMs,
    clock: { now: () => time.ms, sleep: async () => undefined },
    log: newLog({
      level: "info",
      write: (line) => lines.push(JSON.parse(line) as Record<string, unknown>),
    }),
  });
  opened.push(health);
  const threads = new Float64Array(memory.threadRows);
  const partitions = new Float64Array(memory.partitionRows);
  return {
    health,
    rows,
    lines,
    /** Lets time pass; every thread turns its loop unless it is left out. */
    pass: (ms: number, still: readonly number[] = []) => {
      time.ms += ms;
      for (const [thread, row] of rows.entries()) {
        if (still.includes(thread)) continue;
        row.beat();
        threads[thread * threadFields.length + threadFields.indexOf("fetchedMs")] = time.ms;
      }
      health.look();
    },
    setPartition: (partition: number, values: Partial<Record<string, number>>) => {
      for (const [i, field] of partitionFields.entries()) {
        const value = values[field];
        if (value !== undefined) partitions[partition * partitionFields.length + i] = value;
      }
    },
    now: () => time.ms,
  };
}

test("a run that turns is ok, and shows threads, the lag of each task and dependencies", () => {
  const { health, pass, setPartition, now } = watched();
  pass(250);
  setPartition(0, { lag: 2, progressMs: now() });
  setPartition(1, { lag: 7, progressMs: now() });
  pass(100);
  expect(health.report()).toEqual({
    status: "ok",
    causes: [],
    threads: [
      { thread: 0, node: null, beatsAgeMs: 0 },
      { thread: 1, node: null, beatsAgeMs: 0 },
    ],
    tasks: [
      { stream: "bars", topic: "in", partition: 0, thread: 0, lag: 2 },
      { stream: "bars", topic: "in", partition: 1, thread: 1, lag: 7 },
    ],
    quarantined: [],
    dependencies: { transport: { status: "ok", silentMs: 0 } },
  });
});

test("a run is ready once every thread has fetched", () => {
  const { health, pass } = watched();
  pass(100, [1]);
  expect(health.unready()).toEqual(["thread 1 has not fetched yet"]);
  pass(100);
  expect(health.unready()).toEqual([]);
});

test("a node that keeps its thread is a stall by name, until the thread beats again", () => {
  const { health, rows, pass } = watched();
  pass(100);
  rows[1]!.heartbeat[0] = 2;
  pass(500, [1]);
  expect(health.report().causes).toEqual([]);
  pass(1, [1]);
  expect(health.report().causes).toEqual(['thread 1 is stalled in "node2" for 0.5 s']);
  expect(health.report().threads[1]).toMatchObject({ node: "node2", beatsAgeMs: 501 });
  pass(1);
  expect(health.report().status).toBe("ok");
});

test("a join that waits for an input is named with the input and the key, until it goes on", () => {
  const { health, pass, setPartition } = watched();
  pass(100);
  setPartition(1, { held: 3, heldJoin: 2, heldInput: 1, heldSlot: 4 });
  expect(health.report().causes).toEqual([
    '"node2" waits for its input "input1" of key4 in partition 1: 3 inputs of keys are held back',
  ]);
  setPartition(1, { held: 0 });
  expect(health.report().status).toBe("ok");
});

test("a thread that waits without a node is no stall", () => {
  const { health, pass } = watched();
  pass(100);
  pass(9_000, [0, 1]);
  expect(health.report().status).toBe("ok");
});

test("a dead thread is named until its successor beats; a quarantined node until it is released", () => {
  const { health, pass, lines, now } = watched();
  pass(100);
  health.crashed({
    thread: 0,
    partition: 0,
    node: 1,
    name: "node1",
    reason: "on purpose",
    isQuarantined: true,
    untilMs: now() + 100,
  });
  expect(health.report().causes).toEqual(["thread 0 is dead: on purpose"]);
  expect(health.unready()).toEqual(["thread 0 is dead"]);
  pass(50);
  expect(health.report()).toMatchObject({
    status: "ok",
    quarantined: [{ node: "node1", partition: 0, until: "1970-01-01T00:16:40.200Z" }],
  });
  expect(health).toMatchObject({ quarantined: [{ node: 1 }], released: 0 });
  pass(50);
  expect(health.report().quarantined).toEqual([]);
  expect(health).toMatchObject({ quarantined: [], released: 1 });
  expect(lines).toEqual([
    expect.objectContaining({ msg: "node released", node: "node1", partition: 0 }),
  ]);
});

test("a transport that is silent fails the run, is logged once, and once when it is back", () => {
  const { health, pass, lines } = watched();
  pass(100);
  pass(10_000, [1]);
  expect(health.report().status).toBe("ok");
  pass(2_000, [1]);
  pass(500, [1]);
  expect(health.report()).toMatchObject({
    status: "failing",
    causes: ["the transport has not answered for 12.5 s"],
    dependencies: { transport: { status: "stalled", silentMs: 12_500 } },
  });
  pass(1);
  expect(health.report().status).toBe("ok");
  expect(lines.map(({ level, msg, dependency }) => [level, msg, dependency])).toEqual([
    ["warn", "dependency stalled", "transport"],
    ["info", "dependency is back", "transport"],
  ]);
});

test("a partition with a lag and no progress is named, one without a lag is not", () => {
  const { health, pass, setPartition, now } = watched();
  setPartition(0, { lag: 3, progressMs: now() });
  setPartition(1, { lag: 0, progressMs: now() });
  pass(10_001);
  expect(health.report().causes).toEqual([
    'partition 0 of "in" has a lag of 3 and no progress for 10.0 s',
  ]);
  setPartition(0, { progressMs: now() });
  expect(health.report().status).toBe("ok");
});

test("a state store is silent when the loop turns and nothing is committed", () => {
  const { health, pass, setPartition, now } = watched(250);
  pass(100);
  for (const partition of [0, 1]) setPartition(partition, { checkpointedMs: now() });
  pass(10_250);
  expect(health.report().status).toBe("ok");
  pass(1);
  expect(health.report()).toMatchObject({
    causes: ["the state has not answered for 10.0 s"],
    dependencies: { transport: { status: "ok" }, state: { status: "stalled", silentMs: 10_001 } },
  });
});

test("a loop that waits for the transport is not held against the state store", () => {
  const { health, pass, setPartition, now } = watched(250);
  pass(100);
  for (const partition of [0, 1]) setPartition(partition, { checkpointedMs: now() });
  pass(20_000, [0, 1]);
  expect(health.report().causes).toEqual(["the transport has not answered for 20.0 s"]);
});

test("positions that were reset are logged when they are", () => {
  const { rows, pass, lines } = watched();
  pass(100);
  rows[0]!.add("offsetResets", 2);
  pass(100);
  pass(100);
  expect(lines).toEqual([expect.objectContaining({ msg: "position reset", partitions: 2 })]);
});
