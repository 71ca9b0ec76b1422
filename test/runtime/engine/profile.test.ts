import { expect, test } from "bun:test";
import { Node, Strategy, StreamInput } from "../../../nodes/index.ts";
import { phaseSeconds, profileOf } from "../../../runtime/engine/profile.ts";
import { buildGraph } from "../../../runtime/graph/graph.ts";
import { kline } from "../../../runtime/index.ts";
import { NodeProfile, newProfileMemory } from "../../../runtime/worker/node-profile.ts";
import { runBacktest } from "../../harness/backtest-run.ts";
import { price } from "../../harness/task-run.ts";

const bars = new StreamInput({
  name: "bars",
  symbols: ["A"],
  interval: "1m",
  period: 3,
  schema: price,
});
const last = new Node({
  name: "last",
  input: bars,
  lookback: 1,
  schema: { x: "f64" },
  compute: (window) => ({ x: window.value("close") }),
});
const graph = buildGraph([last.declaration]);

/** A thread's memory in which node 1 was called `calls` times, `timed` of them taking `ms`. */
function memoryOf(calls: number, timed: number, ms: number): SharedArrayBuffer {
  const memory = newProfileMemory(graph.nodes.length);
  new NodeProfile(memory).cells.set([calls, timed, ms], NodeProfile.at(1));
  return memory;
}

test("a node's time is calls × mean of the timed ones, summed over threads, without the clock's", () => {
  const memories = [memoryOf(1_000, 10, 20), memoryOf(500, 5, 5)];
  const profile = profileOf(graph, memories, { run: 4, encode: 0.5, others: { network: 1 } });
  // 1,000 calls of 2 ms and 500 of 1 ms; the clock's cost is below a microsecond.
  expect(profile.nodes).toHaveLength(1);
  expect(profile.nodes[0]).toMatchObject({ name: "last", calls: 1_500 });
  expect(profile.nodes[0]!.seconds).toBeCloseTo(2.5, 2);
  expect(profile.nodes[0]!.nsPerCall).toBeCloseTo(2.5e9 / 1_500, -4);
  const seconds = Object.fromEntries(profile.phases.map(({ name, seconds: s }) => [name, s]));
  expect(seconds["decode"]).toBeCloseTo(1, 2);
  expect(seconds["compute"]).toBeCloseTo(2.5, 2);
  expect(seconds).toMatchObject({ encode: 0.5, network: 1 });
});

test("a node that was never called or never timed took no time", () => {
  const profile = profileOf(graph, [memoryOf(5, 0, 0)], { run: 0.1, encode: 0, others: {} });
  expect(profile.nodes[0]).toMatchObject({ calls: 5, seconds: 0, nsPerCall: 0 });
});

test("an estimate above the run's own time leaves no negative decode", () => {
  const profile = profileOf(graph, [memoryOf(1_000, 1, 10)], { run: 1, encode: 0, others: {} });
  expect(profile.phases[0]).toEqual({ name: "decode", seconds: 0 });
});

test("phaseSeconds() adds up the threads", () => {
  const memories = [memoryOf(0, 0, 0), memoryOf(0, 0, 0)];
  for (const memory of memories) new NodeProfile(memory).since("readMs", performance.now() - 500);
  expect(phaseSeconds(memories, "readMs")).toBeGreaterThanOrEqual(1);
});

class Closes extends Strategy {
  setup() {
    const [symbol = ""] = this.flags.symbols;
    const input = new StreamInput({ symbol, interval: "1m", period: 2, schema: kline });
    this.addNodes([
      new Node({
        name: "twice",
        input,
        schema: { x: "f64" },
        lookback: 2,
        compute: (window) => ({ x: window.value("close", -1) * 2 }),
      }),
    ]);
  }
}

test("a profiled backtest says where its time went, one that is not says nothing", async () => {
  const settings = {
    exchange: "simulated:7",
    history: "memory:",
    start: "2025-01-01",
    end: "2025-01-01T04:00",
  };
  const run = { strategy: Closes, symbols: ["BTCUSDT"], settings };
  const { report } = await runBacktest({ ...run, profile: true });
  expect(report.profile?.nodes).toEqual([expect.objectContaining({ name: "twice", calls: 239 })]);
  expect(report.profile?.phases.map(({ name }) => name)).toEqual([
    "decode",
    "compute",
    "encode",
    "read",
    "store",
  ]);
  const all = report.profile!.phases.reduce((sum, { seconds }) => sum + seconds, 0);
  expect(all).toBeGreaterThan(0);
  expect((await runBacktest(run)).report.profile).toBeUndefined();
});
