import { afterEach, expect, test } from "bun:test";
import { join } from "node:path";
import { openTransport } from "../../../../connectors/memory/index.ts";
import { type LiveOptions, Runner, type StrategyClass } from "../../../../runtime/index.ts";
import { failureOf } from "../../../contract/failure-of.ts";
import { scratchDirectory } from "../../../harness/scratch.ts";
import { barsOf, keyNames, LiveLog, meansOf, minute } from "../../../integrity/live-log.ts";
import {
  Fragile,
  Joined,
  ListedMeans,
  Loop,
  Means,
  SharedTopic,
  TwoReaders,
} from "../../../integrity/live-strategies.ts";

const directory = scratchDirectory();
let serial = 0;
const open: LiveLog[] = [];

afterEach(async () => {
  for (const { transport } of open.splice(0)) await transport.close();
});

/** A log of its own with the topic "in", and how to run a strategy over it. */
async function logOf(partitions = 2, query = "") {
  serial += 1;
  const url = `memory:live${serial}${query}`;
  const transport = await openTransport(url, AbortSignal.timeout(30_000));
  const log = new LiveLog(transport, partitions);
  open.push(log);
  await log.make("in");
  const run = async (strategy: StrategyClass, options: Partial<LiveOptions> = {}) =>
    await Runner.live(strategy, { transport: url, symbols: ["in", "out"], ...options });
  return { log, run };
}

test("live: every mean of every key is in the partition its bars came from", async () => {
  const { log, run } = await logOf(3);
  const bars = barsOf(keyNames(7), 50);
  await log.put("in", bars, 60);
  const report = await run(Means, { until: { records: bars.length } });
  expect(report).toMatchObject({ records: 350, outputs: 7 * 47, slowPath: 0, deadLetters: 0 });
  for (const [partition, own] of (await log.readAll("in")).entries()) {
    expect(await log.read("out", partition)).toEqual(meansOf(own));
  }
});

test("live: listed keys only, and what is published under its definition's name", async () => {
  const { log, run } = await logOf(2);
  const bars = barsOf(keyNames(6), 10);
  await log.put("in", bars);
  const until = { records: bars.length };
  await run(ListedMeans, { symbols: ["in", "out", "K1", "K4"], until });
  const keys = (await log.readAll("out")).flat().map(({ key }) => key);
  expect([...new Set(keys)].toSorted()).toEqual(["K1", "K4"]);
  expect(keys).toHaveLength(14);
});

test("live: two streams over one topic both get all of it", async () => {
  const { log, run } = await logOf(2);
  const bars = barsOf(keyNames(4), 20);
  await log.put("in", bars);
  await run(TwoReaders, { symbols: ["in", "one", "two"], until: { records: 2 * bars.length } });
  expect((await log.readAll("one")).flat()).toHaveLength(4 * 17);
  expect((await log.readAll("two")).flat()).toHaveLength(4 * 20);
});

test("live: without a position a run begins at the oldest record, or at a time", async () => {
  const { log, run } = await logOf(1);
  await log.put("in", barsOf(["A"], 10), 4);
  await run(Means, { until: { records: 10 } });
  expect(await log.count("out")).toBe(7);
  // Record times are 0 here, so a later time is the end of the topic.
  const from = { symbols: ["in", "timed"], offsetReset: 0, until: { records: 10 } };
  await run(Means, from);
  expect(await log.read("timed", 0)).toEqual(await log.read("out", 0));
});

test("live: offsetReset latest leaves alone what is there", async () => {
  const { log, run } = await logOf(1);
  await log.put("in", barsOf(["A"], 10));
  const running = run(Means, { offsetReset: "latest", until: { records: 5 } });
  await putUntil(log, running, 10);
  const [first] = await log.read("out", 0);
  expect(first!.ts).toBeGreaterThanOrEqual(13 * minute);
});

/** Puts one bar after the other, from minute `from` on, until the run has ended. */
async function putUntil(log: LiveLog, running: Promise<unknown>, from: number): Promise<void> {
  const ended = new AbortController();
  const end = (): void => ended.abort();
  void running.then(end, end);
  for (let at = from; !ended.signal.aborted; at += 1) {
    await log.put("in", barsOf(["A"], 1, at));
    await Bun.sleep(1);
  }
  await running;
}

/** A run that stopped at bar 20 of a topic which has dropped that bar since. */
async function overrun() {
  const { log, run } = await logOf(1, "?bytesMax=8192");
  const state = `sqlite:${join(directory, `state${serial}.db`)}`;
  await log.put("in", barsOf(["A"], 20), 10);
  await run(Means, { state, until: { records: 20 } });
  await log.put("in", barsOf(["A"], 1_000, 20), 50);
  const [ends] = await log.transport.endsOf("in", [0], AbortSignal.timeout(1_000));
  expect(ends!.start).toBeGreaterThan(20);
  return { log, start: ends!.start, run, state };
}

test("live: a position that is gone ends the run by name", async () => {
  const { run, state } = await overrun();
  const failure = await failureOf(run(Means, { state }));
  expect(String(failure)).toContain('give offsetReset ("earliest", "latest" or a time in ms;');
  expect(String(failure)).toContain("--offset-reset");
  expect(failure).toMatchObject({
    code: "OFFSET_OUT_OF_RANGE",
    details: { topic: "in", partition: 0, offset: 20 },
  });
});

test("live: a position that is gone moves to where offsetReset says, and is counted", async () => {
  const { log, run, state, start } = await overrun();
  const until = { records: 1_020 - start };
  const report = await run(Means, { state, offsetReset: "earliest", until });
  expect(report).toMatchObject({ offsetResets: 1, records: 1_020 - start });
  const bars = [...barsOf(["A"], 20), ...barsOf(["A"], 1_000, 20).slice(start - 20)];
  // The output partition has dropped its oldest too.
  const found = await log.read("out", 0);
  expect(found.length).toBeGreaterThan(50);
  expect(found).toEqual(meansOf(bars).slice(-found.length));
});

// Record times are 0 here, so a later time is the end of the topic.
for (const offsetReset of ["latest", 1] as const) {
  test(`live: a position that is gone moves to the end with offsetReset ${offsetReset}`, async () => {
    const { log, run, state } = await overrun();
    const running = run(Means, { state, offsetReset, until: { records: 3 } });
    await putUntil(log, running, 2_000);
    expect(await running).toMatchObject({ offsetResets: 1, outputs: 3 });
  });
}

test("live: a position that is gone moves to the first record at or after a time", async () => {
  const { run, state, start } = await overrun();
  const report = await run(Means, { state, offsetReset: 0, until: { records: 1_020 - start } });
  expect(report).toMatchObject({ offsetResets: 1, records: 1_020 - start });
});

test("live: what can't be run is refused by name before anything is made", async () => {
  const { log, run } = await logOf();
  const refused = async (strategy: StrategyClass, options: Partial<LiveOptions> = {}) =>
    await failureOf(run(strategy, { symbols: ["in", "refused"], ...options }));
  const joined = await refused(Joined);
  expect(joined).toMatchObject({ code: "GRAPH_INVALID", details: { node: "ratio" } });
  expect(await refused(SharedTopic)).toMatchObject({ code: "PUBLISH_TOPIC_SHARED" });
  expect(await refused(Loop)).toMatchObject({
    code: "PUBLISH_TOPIC_SHARED",
    details: { topic: "in" },
  });
  const unknown = { symbols: ["nowhere", "refused"] };
  expect(await refused(Means, unknown)).toMatchObject({
    code: "TOPIC_UNKNOWN",
    details: { topic: "nowhere" },
  });
  expect(await failureOf(log.count("refused"))).toMatchObject({ code: "TOPIC_UNKNOWN" });
});

test("live: every bad setting is named at once", async () => {
  const { run } = await logOf();
  const failure = await failureOf(
    run(Means, {
      threads: 0,
      deployment: "a/b",
      until: { records: 1.5 },
      pace: { fetchWaitMsMax: -1 },
      watch: { stallMsMax: Number.NaN },
    }),
  );
  expect(failure).toMatchObject({ code: "CONFIG_INVALID" });
  for (const name of ["threads", "deployment", "recordsMax", "fetchWaitMsMax", "stallMsMax"]) {
    expect(String(failure)).toContain(name);
  }
});

test("live: a stop ends the run in order, with what it came to", async () => {
  const { log, run } = await logOf(1);
  await log.put("in", barsOf(["A"], 100));
  const stop = new AbortController();
  const running = run(Means, { signal: stop.signal });
  await log.make("out");
  await log.until("out", 97);
  const startedMs = performance.now();
  stop.abort();
  expect(await running).toMatchObject({ records: 100, outputs: 97 });
  expect(performance.now() - startedMs).toBeLessThan(1_000);
});

test("live: a compute that throws ends a run without state by its name", async () => {
  const { log, run } = await logOf(1);
  await log.put("in", [
    { key: "A", ts: 0, value: 1 },
    { key: "A", ts: minute, value: 666 },
  ]);
  const topics = ["in", "steady", "fragile", "child"];
  expect(await failureOf(run(Fragile, { symbols: topics }))).toMatchObject({
    code: "COMPUTE_FAILED",
    details: { node: "fragile", key: "A", time: 2 * minute },
  });
});
