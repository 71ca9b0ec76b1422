import { afterEach, expect, test } from "bun:test";
import { openTransport } from "../../../../../connectors/memory/index.ts";
import { type StrategyClass } from "../../../../../runtime/index.ts";
import { BoardRow } from "../../../../../runtime/worker/live/board.ts";
import { type LiveOrder } from "../../../../../runtime/worker/live/live-order.ts";
import { type Checkpoints } from "../../../../../runtime/worker/live/live-task.ts";
import { LiveLoop } from "../../../../../runtime/worker/live/loop/live-loop.ts";
import { drainMsMax } from "../../../../../runtime/worker/live/loop/send-deadline.ts";
import { batchesInFlightMax } from "../../../../../runtime/worker/live/output/batch-sender.ts";
import { failureOf } from "../../../../contract/failure-of.ts";
import { barsOf, LiveLog } from "../../../../integrity/live-log.ts";
import { Fragile, Means } from "../../../../integrity/live-strategies.ts";
import { HeldSends } from "../held-sends.ts";
import { liveOrderOf } from "../live-order-of.ts";

const open: LiveLog[] = [];
afterEach(async () => {
  for (const { transport } of open.splice(0)) await transport.close();
});

/** A loop over one partition of a log in memory, whose sends the test lets go. */
async function loopOf(
  strategy: StrategyClass,
  checkpoints?: Checkpoints,
  more: Partial<LiveOrder> = {},
) {
  const transport = await openTransport("memory:", AbortSignal.timeout(30_000));
  const log = new LiveLog(transport, 1);
  open.push(log);
  const topics = ["in", "steady", "fragile", "child"];
  for (const topic of topics) await log.make(topic);
  const { order, graph } = await liveOrderOf(strategy, topics, log, more);
  const held = new HeldSends(transport);
  const loop = new LiveLoop(order, graph, held.transport, checkpoints);
  return { log, held, loop, row: new BoardRow(order.board, 0) };
}

/** Waits until `condition` is true. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await Bun.sleep(1);
}

test("a stop waits for what is on its way, then the run has its result (V3)", async () => {
  const { log, held, loop } = await loopOf(Means);
  await log.put("in", barsOf(["A"], 10));
  const stop = new AbortController();
  let isDone = false;
  const running = loop.run(stop.signal).finally(() => {
    isDone = true;
  });
  await until(() => held.batches.length === 1);
  stop.abort();
  await Bun.sleep(20);
  expect(isDone).toBe(false);
  held.release();
  await running;
  expect(await log.count("steady")).toBe(7);
});

test("a stop gives up on what is never acknowledged, in time and by name (V3)", async () => {
  const { log, held, loop } = await loopOf(Means);
  await log.put("in", barsOf(["A"], 10));
  const stop = new AbortController();
  const running = failureOf(loop.run(stop.signal));
  await until(() => held.batches.length === 1);
  const startedMs = performance.now();
  stop.abort();
  const failure = await running;
  expect(failure).toMatchObject({ code: "TRANSPORT_UNAVAILABLE" });
  expect(String(failure)).toContain("last outputs");
  expect(performance.now() - startedMs).toBeGreaterThan(drainMsMax - 50);
  expect(performance.now() - startedMs).toBeLessThan(5_000);
}, 10_000);

test("a loop whose transport is closed ends by that name", async () => {
  const { log, loop, row } = await loopOf(Means);
  const running = failureOf(loop.run(new AbortController().signal));
  await until(() => row.beats > 0);
  await log.transport.close();
  expect(await running).toMatchObject({ code: "TRANSPORT_CLOSED" });
});

test("a batch that is refused is the loop's failure", async () => {
  const { log, held, loop } = await loopOf(Means);
  await log.put("in", barsOf(["A"], 10));
  const running = failureOf(loop.run(new AbortController().signal));
  await until(() => held.batches.length === 1);
  held.fail(new Error("refused on purpose"));
  expect(await running).toMatchObject({ message: "refused on purpose" });
});

test("while an output has no room nothing more is fetched (V2)", async () => {
  const { log, held, loop, row } = await loopOf(Means);
  const stop = new AbortController();
  const running = loop.run(stop.signal);
  let put = 0;
  // A bar makes a batch, and each batch stays on its way: the loop has to stop by itself.
  for (; put < 3 + 4 * batchesInFlightMax; put += 1) {
    await log.put("in", barsOf(["A"], 1, put));
    const before = row.get("records");
    const endMs = performance.now() + 50;
    while (row.get("records") === before && performance.now() < endMs) await Bun.sleep(1);
  }
  expect(held.batches).toHaveLength(batchesInFlightMax);
  expect(row.get("records")).toBe(3 + batchesInFlightMax);
  held.isOpen = true;
  held.release(batchesInFlightMax);
  await until(() => row.get("records") === put);
  stop.abort();
  await running;
  expect(await log.count("steady")).toBe(put - 3);
});

/** Notes what a loop asks of its checkpoints. */
class NotedCheckpoints implements Checkpoints {
  readonly offsets: number[] = [];
  readonly committed: number[] = [];

  async restore(...[task, start]: Parameters<Checkpoints["restore"]>): Promise<void> {
    const [feed] = task.feeds;
    feed!.reader.nextOffset = await start(feed!);
  }

  take(...[tasks]: Parameters<Checkpoints["take"]>): void {
    this.offsets.push(tasks[0]!.feeds[0]!.reader.nextOffset);
  }

  async commit(...[tasks]: Parameters<Checkpoints["commit"]>): Promise<void> {
    this.committed.push(tasks[0]!.feeds[0]!.reader.nextOffset);
  }
}

test("after a compute that threw nothing is committed: the state holds half a batch (V4)", async () => {
  const checkpoints = new NotedCheckpoints();
  const { log, held, loop, row } = await loopOf(Fragile, checkpoints);
  held.isOpen = true;
  const running = failureOf(loop.run(new AbortController().signal));
  await log.put("in", barsOf(["A"], 10));
  await until(() => checkpoints.offsets.includes(10));
  await log.put("in", [...barsOf(["A"], 5, 10), { key: "A", ts: 900_000, value: 666 }]);
  expect(await running).toMatchObject({ code: "COMPUTE_FAILED", details: { node: "fragile" } });
  expect(Math.max(...checkpoints.offsets)).toBe(10);
  expect(checkpoints.committed).toEqual([]);
  expect(row.culprit).toBe(2);
});

test("a run that ends in order commits once more at its end", async () => {
  const checkpoints = new NotedCheckpoints();
  const { log, held, loop, row } = await loopOf(Means, checkpoints);
  held.isOpen = true;
  await log.put("in", barsOf(["A"], 10));
  const stop = new AbortController();
  const running = loop.run(stop.signal);
  await until(() => row.get("records") === 10);
  stop.abort();
  await running;
  expect(checkpoints.committed).toEqual([10]);
});

test("a node is released at a committed position, and not before (V5)", async () => {
  const checkpoints = new NotedCheckpoints();
  // Its time is over at once: the first answer is still computed without it.
  const quarantined = [{ partition: 0, node: 2, untilMs: 0 }];
  const { log, held, loop, row } = await loopOf(Fragile, checkpoints, { quarantined });
  held.isOpen = true;
  const bars = barsOf(["A"], 15).map((bar) => ({ ...bar, value: bar.value % 500 }));
  await log.put("in", bars.slice(0, 10));
  const stop = new AbortController();
  const running = loop.run(stop.signal);
  await until(() => checkpoints.committed.length === 1);
  expect(checkpoints.committed).toEqual([10]);
  expect(await log.count("fragile")).toBe(0);
  await log.put("in", bars.slice(10));
  await until(() => row.get("records") === 15);
  stop.abort();
  await running;
  expect(await log.read("steady", 0)).toEqual(bars);
  expect(await log.read("fragile", 0)).toEqual(bars.slice(10));
  expect(await log.count("child")).toBe(5);
});
