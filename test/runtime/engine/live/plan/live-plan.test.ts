import { expect, test } from "bun:test";
import { connectors } from "../../../../../connectors/index.ts";
import { openTransport } from "../../../../../connectors/memory/index.ts";
import { type Live } from "../../../../../runtime/engine/live/live.ts";
import { paceDefaults } from "../../../../../runtime/engine/live/live-limits.ts";
import { isInMemory, planOf } from "../../../../../runtime/engine/live/plan/live-plan.ts";
import { stagedOf } from "../../../../../runtime/graph/stages.ts";
import { prepare } from "../../../../../runtime/graph/strategy.ts";
import { Means } from "../../../../integrity/live-strategies.ts";

const signal = AbortSignal.timeout(10_000);
const flags = { symbols: ["in", "out"], interval: "1m" } as const;
let serial = 0;

/** The plan of a run over a topic of five partitions; threads may have it unless it is "memory:". */
async function planFor({ transport = "shared:", ...more }: Partial<Live>) {
  serial += 1;
  const url = `memory:plan${serial}`;
  const log = await openTransport(url, signal);
  await log.ensureTopic({ name: "in", partitions: 5 }, signal);
  const live: Live = {
    strategy: Means,
    ref: { module: "file:///means.ts", exportName: "Means" },
    flags,
    transport,
    state: undefined,
    deployment: "means",
    threads: 2,
    recordsMax: undefined,
    latency: undefined,
    offsetReset: "fail",
    pace: {},
    watch: {},
    // A log in memory stands for one that threads share.
    connectors: {
      ...connectors,
      refOf: (port, own) => connectors.refOf(port, port === "transport" ? url : own),
    },
    onCrash: () => undefined,
    ...more,
  };
  const { graph } = prepare(Means, flags);
  const plan = await planOf(live, { source: graph, staged: stagedOf(graph) }, signal);
  await log.close();
  return plan;
}

test("planOf() deals every partition to one thread, in turn", async () => {
  const { orders, isLocal } = await planFor({ threads: 2 });
  expect(isLocal).toBe(false);
  expect(orders.map(({ thread, partitions }) => [thread, partitions])).toEqual([
    [0, [0, 2, 4]],
    [1, [1, 3]],
  ]);
});

test("planOf() makes no thread that would have no partition", async () => {
  const { orders } = await planFor({ threads: 8 });
  expect(orders.map(({ partitions }) => partitions)).toEqual([[0], [1], [2], [3], [4]]);
  expect(orders[0]!.board.threads).toBe(5);
});

test("planOf() runs in this thread what no other could reach", async () => {
  const all = [[0, 1, 2, 3, 4]];
  const ofMemory = await planFor({ transport: "memory:" });
  expect(ofMemory.isLocal).toBe(true);
  expect(ofMemory.orders.map(({ partitions }) => partitions)).toEqual(all);
  const withoutModule = await planFor({ ref: undefined });
  expect(withoutModule.isLocal).toBe(true);
  expect(withoutModule.orders.map(({ partitions }) => partitions)).toEqual(all);
});

test("planOf() leaves to the coordinator what threads would keep in memory", async () => {
  const stateOf = async (more: Partial<Live>) => (await planFor(more)).orders[0]!.state?.url;
  expect(await stateOf({ state: "memory:" })).toBeUndefined();
  expect(await stateOf({ state: "sqlite:/tmp/means.db" })).toBe("sqlite:/tmp/means.db");
  expect(await stateOf({ state: "memory:", transport: "memory:" })).toBe("memory:");
  expect([undefined, "memory:a", "redis://h"].map(isInMemory)).toEqual([true, true, false]);
});

test("planOf() gives every thread the same run, and what was asked for of its paces", async () => {
  const { orders } = await planFor({ pace: { checkpointMs: 7 }, profile: true });
  const [first, second] = orders;
  expect(first!.run).toBe(second!.run);
  expect(first!.pace).toEqual({ ...paceDefaults, checkpointMs: 7 });
  expect(first!.board).toBe(second!.board);
  expect(first!.profile).toBeInstanceOf(SharedArrayBuffer);
  expect(first!.profile).not.toBe(second!.profile);
});
