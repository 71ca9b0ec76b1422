import { expect, test } from "bun:test";
import { StreamInput, sma } from "../../../../../nodes/index.ts";
import { newLog } from "../../../../../runtime/core/log.ts";
import { paceDefaults } from "../../../../../runtime/engine/live/live-limits.ts";
import { LiveView } from "../../../../../runtime/engine/live/view/live-view.ts";
import { buildGraph } from "../../../../../runtime/graph/graph.ts";
import { newBoardMemory } from "../../../../../runtime/worker/live/board.ts";
import { newMeterMemory } from "../../../../../runtime/worker/live/meters.ts";
import { price } from "../../../../harness/task-run.ts";

const bars = new StreamInput({
  name: "bars",
  topic: "in",
  symbols: ["A"],
  interval: "1m",
  period: 3,
  schema: price,
});
const graph = buildGraph([sma(bars, "close", { length: 3 }).declaration]);

/** A view of a run of one thread that has not begun, and the lines it has logged. */
async function viewed(metricsPort?: number) {
  const lines: Record<string, unknown>[] = [];
  const urls: string[] = [];
  const board = newBoardMemory(1);
  const size = { threads: 1, inputs: 1, partitionsPerInput: 1, nodes: graph.nodes.length };
  const order = {
    strategy: { module: "", exportName: "" },
    flags: { symbols: [], interval: "1m" },
    ids: [],
    deployment: "momentum",
    run: "1",
    transport: { module: "", export: "", url: "kafka://me:canary@broker:9092" },
    state: { module: "", export: "", url: "redis://:canary@cache" },
    inputs: [{ stream: 0, topic: "in" }],
    outputs: [],
    partitions: [0],
    offsetReset: "fail",
    pace: paceDefaults,
    recordsMax: undefined,
    latency: undefined,
    quarantined: [],
    isPoisoning: false,
    thread: 0,
    board,
  } as const;
  const view = await LiveView.open({
    graph,
    orders: [order],
    meters: newMeterMemory(size),
    stallMsMax: 500,
    metricsPort,
    onListen: (url) => urls.push(url),
    log: newLog({
      level: "info",
      write: (line) => lines.push(JSON.parse(line) as Record<string, unknown>),
    }),
  });
  return { view, lines, urls };
}

/** A line whose time is a time, without it. */
function withoutTime(line: Record<string, unknown>): unknown {
  expect(line["time"]).toBeString();
  return Object.fromEntries(Object.entries(line).filter(([name]) => name !== "time"));
}

const crash = { thread: 0, partition: 0, node: 1, reason: "on purpose", isQuarantined: false };

test("start, crash, quarantine and stop are a line each, with the deployment and no secret", async () => {
  const { view, lines } = await viewed();
  expect(view.crashed(crash)).toEqual({ ...crash, name: "sma_3" });
  const untilMs = Date.UTC(2100, 0);
  view.crashed({ ...crash, isQuarantined: true, untilMs });
  expect(view.quarantines()).toEqual({ quarantined: ["sma_3/0"], released: 0 });
  await view.close({ records: 7 });
  expect(lines.map(withoutTime)).toEqual([
    {
      level: "info",
      deployment: "momentum",
      transport: "kafka://[redacted]@broker:9092",
      state: "redis://[redacted]@cache",
      threads: 1,
      partitions: 1,
      metrics: null,
      msg: "live run started",
    },
    ...[0, 1].map(() => ({
      level: "error",
      deployment: "momentum",
      thread: 0,
      partition: 0,
      node: "sma_3",
      reason: "on purpose",
      msg: "thread crashed",
    })),
    {
      level: "error",
      deployment: "momentum",
      node: "sma_3",
      partition: 0,
      until: "2100-01-01T00:00:00.000Z",
      msg: "node quarantined",
    },
    { level: "info", deployment: "momentum", records: 7, msg: "live run stopped" },
  ]);
});

test("crashes and quarantines are in the metrics, by thread and by node", async () => {
  const { view, urls } = await viewed(0);
  view.crashed(crash);
  view.crashed({ ...crash, isQuarantined: true, untilMs: Date.UTC(2100, 0) });
  view.crashed({ ...crash, isQuarantined: true, untilMs: 0 });
  view.crashed({ ...crash, node: -1 });
  const page = await (await fetch(`${urls[0]}/metrics`)).text();
  expect(page).toContain('qmtl_thread_crashes_total{thread="0",deployment="momentum"} 4');
  expect(page).toMatch(/^qmtl_node_process_failure_total\{node="sma_3",.*\} 3$/m);
  expect(page).toMatch(/^qmtl_node_quarantines_total\{node="sma_3",.*\} 2$/m);
  expect(page).toMatch(/^qmtl_node_quarantined_partitions\{node="sma_3",.*\} 1$/m);
  const health = await fetch(`${urls[0]}/healthz`);
  expect(health.status).toBe(503);
  expect(await health.json()).toMatchObject({ causes: ["thread 0 is dead: on purpose"] });
  expect((await fetch(`${urls[0]}/readyz`)).status).toBe(503);
  await view.close({});
  expect(await fetch(`${urls[0]}/metrics`).catch(() => "refused")).toBe("refused");
});

test("nothing listens without a port", async () => {
  const { view, urls } = await viewed();
  expect(urls).toEqual([]);
  await view.close({});
});
