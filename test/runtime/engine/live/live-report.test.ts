import { expect, test } from "bun:test";
import { paceDefaults } from "../../../../runtime/engine/live/live-limits.ts";
import { workOf } from "../../../../runtime/engine/live/live-report.ts";
import { prepare } from "../../../../runtime/graph/strategy.ts";
import {
  type BoardField,
  BoardRow,
  newBoardMemory,
} from "../../../../runtime/worker/live/board.ts";
import { type LiveOrder } from "../../../../runtime/worker/live/live-order.ts";
import { newProfileMemory } from "../../../../runtime/worker/node-profile.ts";
import { Means } from "../../../integrity/live-strategies.ts";

const flags = { symbols: ["in", "out"], interval: "1m" } as const;
const { graph } = prepare(Means, flags);

/** Orders of threads whose rows say what `rows` says. */
function ordersOf(
  rows: readonly Partial<Record<BoardField, number>>[],
  isProfiled = false,
): readonly LiveOrder[] {
  const board = newBoardMemory(rows.length);
  return rows.map((fields, thread) => {
    const row = new BoardRow(board, thread);
    for (const field of Object.keys(fields) as BoardField[]) row.set(field, fields[field]!);
    return {
      strategy: { module: "", exportName: "" },
      flags,
      ids: [],
      deployment: "means",
      run: "1",
      transport: { module: "", export: "", url: "" },
      state: undefined,
      inputs: [],
      outputs: [],
      partitions: [thread],
      offsetReset: "fail",
      pace: paceDefaults,
      recordsMax: undefined,
      latency: undefined,
      quarantined: [],
      isPoisoning: false,
      thread,
      board,
      ...(isProfiled ? { profile: newProfileMemory(graph.nodes.length) } : {}),
    };
  });
}

const none = { latencies: new Float64Array(0) };

test("workOf() adds up what the threads counted, and the time they spent, in seconds", () => {
  const counted = { outputs: 10, slowPath: 1, deadLetters: 2, checkpoints: 3, offsetResets: 4 };
  const spent = { fetchMs: 500, computeMs: 250, flushMs: 125 };
  const row = { records: 20, ...counted, ...spent };
  expect(workOf(graph, ordersOf([row, row]), [none, none])).toMatchObject({
    records: 40,
    outputs: 20,
    slowPath: 2,
    deadLetters: 4,
    checkpoints: 6,
    offsetResets: 8,
    threads: 2,
    fetchSeconds: 1,
    computeSeconds: 0.5,
    flushSeconds: 0.25,
  });
});

test("workOf() measures from the first fetch of any thread to the last record of any", () => {
  const orders = ordersOf([
    { records: 1, firstFetchMs: 1_000, firstRecordMs: 4_000, lastRecordMs: 6_000 },
    { records: 1, firstFetchMs: 2_000, firstRecordMs: 3_000, lastRecordMs: 5_000 },
    // It never had a record: its 0s are no times.
    { firstFetchMs: 1_500 },
  ]);
  const { seconds, secondsFromFirst } = workOf(graph, orders, [none, none, none]);
  expect(seconds).toBe(5);
  expect(secondsFromFirst).toBe(3);
});

test("workOf() has no time to tell of a run without a record", () => {
  const { seconds, secondsFromFirst, p50 } = workOf(graph, ordersOf([{ firstFetchMs: 9 }]), [none]);
  expect([seconds, secondsFromFirst]).toEqual([0, 0]);
  expect(p50).toBeNaN();
});

test("workOf() takes percentiles over all threads' latencies together", () => {
  // 1 to 200: odd ones in one thread, even ones in the other, newest first.
  const odd = Float64Array.from({ length: 100 }, (_, i) => 199 - 2 * i);
  const even = Float64Array.from({ length: 100 }, (_, i) => 200 - 2 * i);
  const results = [{ latencies: odd }, { latencies: even }];
  expect(workOf(graph, ordersOf([{}, {}]), results)).toMatchObject({ p50: 101, p99: 199 });
});

test("workOf() says where time went node by node, if nodes were timed", () => {
  const row = { fetchMs: 500, computeMs: 250, flushMs: 125 };
  expect(workOf(graph, ordersOf([row]), [none]).profile).toBeUndefined();
  const { profile } = workOf(graph, ordersOf([row], true), [none]);
  expect(profile!.nodes.map(({ name, calls }) => [name, calls])).toEqual([["mean", 0]]);
  const total = profile!.phases.reduce((sum, { seconds }) => sum + seconds, 0);
  expect(total).toBeCloseTo(0.875, 9);
});
