/**
 * Goal: a live join gives what its bars say, whatever partitions they lie in and whenever they come.
 * Method: hand-made bars over a log in memory, outputs that a reader can work out by eye.
 */
import { afterEach, expect, test } from "bun:test";
import { join } from "node:path";
import { openTransport } from "../../../../connectors/memory/index.ts";
import { openHistory } from "../../../../connectors/sqlite/index.ts";
import { repartitionTopic } from "../../../../runtime/graph/stages.ts";
import { prepare } from "../../../../runtime/graph/strategy.ts";
import { type LiveOptions, Runner, type StrategyClass } from "../../../../runtime/index.ts";
import { failureOf } from "../../../contract/failure-of.ts";
import { runBacktest } from "../../../harness/backtest-run.ts";
import { scratchDirectory } from "../../../harness/scratch.ts";
import { bitsOf, readStore } from "../../../harness/stored-rows.ts";
import { rowsOf } from "../../../harness/task-run.ts";
import { Deep, Latest, SameKey, Spreads, Strict } from "../../../integrity/join-strategies.ts";
import { barsOf, LiveLog, minute, type PlainBar } from "../../../integrity/live-log.ts";
import { fixed, logBatch } from "../../worker/live/log-bytes.ts";

let serial = 0;
const open: LiveLog[] = [];

afterEach(async () => {
  for (const { transport } of open.splice(0)) await transport.close();
});

/** A log of its own with the topics, and how to run a strategy over it. */
async function logOf(partitions: number, ...topics: readonly string[]) {
  serial += 1;
  const url = `memory:joins${serial}`;
  const transport = await openTransport(url, AbortSignal.timeout(30_000));
  const log = new LiveLog(transport, partitions);
  open.push(log);
  for (const topic of topics) await log.make(topic);
  const run = async (strategy: StrategyClass, options: Partial<LiveOptions> = {}) =>
    await Runner.live(strategy, { transport: url, ...options });
  return { log, run };
}

/** Bars of a key by minute; `undefined` is a bar that is missing. */
function bars(key: string, ...values: readonly (number | undefined)[]): readonly PlainBar[] {
  return values.flatMap((value, i) =>
    value === undefined ? [] : [{ key, ts: i * minute, value }],
  );
}

/** The repartition topic of a join. */
function repartitionOf(strategy: StrategyClass, symbols: readonly string[], name: string): string {
  const { graph } = prepare(strategy, { symbols, interval: "1m" });
  return repartitionTopic(graph.nodes.find((node) => node.name === name)!);
}

/** `key@minute value` of everything in a topic, by partition. */
async function contents(log: LiveLog, topic: string): Promise<readonly string[]> {
  const all = await log.readAll(topic);
  return all.flatMap((own, p) =>
    own.map(({ key, ts, value }) => `${p} ${key}@${ts / minute} ${value}`),
  );
}

test("live join: two keys of two partitions meet in the partition of their own key", async () => {
  const { log, run } = await logOf(4, "in");
  const [a, b, both] = ["A", "B", "A|B"].map((key) => log.partitionOf(key));
  expect(new Set([a, b, both]).size).toBe(3);
  await log.put("in", [...bars("A", 10, 20, 30), ...bars("B", 1, 2, 3)]);
  const report = await run(Spreads, { symbols: ["in", "out", "A|B"], until: { records: 6 } });
  expect(report).toMatchObject({ records: 6, outputs: 3, deadLetters: 0 });
  expect(await contents(log, "out")).toEqual([
    `${both} A|B@0 9`,
    `${both} A|B@1 18`,
    `${both} A|B@2 27`,
  ]);
});

test("live join: a bar is joined with the other key's bar of its time, however late that comes", async () => {
  const { log, run } = await logOf(3, "in");
  await log.put("in", bars("A", 10, 20, 30));
  const running = run(Spreads, { symbols: ["in", "out", "A|B"], until: { records: 6 } });
  // All of A has been taken and waits for B.
  const between = repartitionOf(Spreads, ["in", "out", "A|B"], "spread");
  await log.make(between);
  await log.until(between, 3);
  for (const bar of bars("B", 1, 2, 3)) await log.put("in", [bar]);
  await running;
  expect((await contents(log, "out")).map((text) => text.slice(2))).toEqual([
    "A|B@0 9",
    "A|B@1 18",
    "A|B@2 27",
  ]);
});

test("live join: where a key has no bar, or a late or doubled one, nothing is joined", async () => {
  const { log, run } = await logOf(3, "in");
  const late = [
    { key: "B", ts: minute, value: 7 },
    { key: "B", ts: 0, value: 99 },
  ];
  const put = [...bars("A", 10, undefined, 30, 40), ...bars("B", 1, 2, 3), ...late];
  await log.put("in", [...put, { key: "B", ts: 3 * minute, value: 4 }]);
  const report = await run(Spreads, { symbols: ["in", "out", "A|B"], until: { records: 9 } });
  expect(report.outputs).toBe(3);
  expect((await contents(log, "out")).map((text) => text.slice(2))).toEqual([
    "A|B@0 9",
    "A|B@2 27",
    "A|B@3 36",
  ]);
});

test("live join: onMissing fail ends the run where a bar is missing, by name", async () => {
  const { log, run } = await logOf(2, "left", "right");
  await log.put("left", bars("A", 1, undefined, 3));
  await log.put("right", bars("A", 10, 20, 30));
  const failure = await failureOf(run(Strict, { symbols: ["left", "right", "out", "A"] }));
  expect(failure).toMatchObject({
    code: "INPUT_MISSING",
    details: { node: "sum", key: "A", input: "left", ts: minute },
  });
});

test("live join: a key of no pair holds up nothing, and one key may be in many pairs", async () => {
  const { log, run } = await logOf(2, "in");
  const pairs = ["A|B", "A|C", "A|D"];
  await log.put("in", [...bars("A", 10, 20), ...bars("B", 1, 2), ...bars("C", 3), ...bars("X", 5)]);
  await run(Spreads, { symbols: ["in", "out", ...pairs], until: { records: 6 } });
  expect((await contents(log, "out")).map((text) => text.slice(2)).toSorted()).toEqual([
    "A|B@0 9",
    "A|B@1 18",
    "A|C@0 7",
  ]);
});

test("live join: topics with the same keys are joined where they lie, without a topic between", async () => {
  const { log, run } = await logOf(2, "left", "right");
  await log.put("left", [...bars("A", 1, 2, 3), ...bars("B", 10, 20)]);
  await log.put("right", [...bars("B", 300, undefined, 500), ...bars("A", 100, 200)]);
  const symbols = ["left", "right", "out", "A", "B"];
  const report = await run(SameKey, { symbols, until: { records: 9 } });
  expect(report).toMatchObject({ records: 9, outputs: 3 });
  const [a, b] = [log.partitionOf("A"), log.partitionOf("B")];
  expect((await contents(log, "out")).toSorted()).toEqual(
    [`${a} A@0 101`, `${a} A@1 202`, `${b} B@0 310`].toSorted(),
  );
});

test("live join: a mark in an input says that a bar is missing before the next one comes", async () => {
  const { log, run } = await logOf(2, "left", "right");
  await log.put("left", [...bars("A", 1), { key: "A", ts: 2 * minute, value: 3 }]);
  await log.put("right", bars("A", 10, 20, 30));
  const symbols = ["left", "right", "out", "A"];
  const stop = new AbortController();
  const running = run(Latest, { symbols, signal: stop.signal });
  await log.make("out");
  await log.until("out", 3);
  await log.put("right", [{ key: "A", ts: 3 * minute, value: 40 }]);
  const mark = logBatch([{ key: null, value: fixed("w", [4 * minute, 0]) }]);
  await log.transport.produce("left", log.partitionOf("A"), mark, AbortSignal.timeout(1_000));
  await log.until("out", 4);
  stop.abort();
  expect(await running).toMatchObject({ deadLetters: 0 });
  const partition = log.partitionOf("A");
  expect(await contents(log, "out")).toEqual(
    ["A@0 11", "A@1 21", "A@2 33", "A@3 43"].map((text) => `${partition} ${text}`),
  );
});

/** Causes that `/healthz` names, once there is one that holds `text`. */
async function causeOf(url: string, text: string): Promise<string> {
  for (;;) {
    const { causes } = (await (await fetch(`${url}/healthz`)).json()) as { causes: string[] };
    const cause = causes.find((own) => own.includes(text));
    if (cause !== undefined) return cause;
    await Bun.sleep(5);
  }
}

for (const [name, strategy, topics, rest] of [
  ["forwarded", Spreads, ["in", "in"], ["A|B"]],
  ["direct", SameKey, ["left", "right"], ["A"]],
] as const) {
  test(`live join: ${name}, an input far ahead is held back, the missing one named, and nothing lost`, async () => {
    const { log, run } = await logOf(2, ...topics);
    const [ahead, behind] = topics;
    const count = 2_000;
    await log.put(ahead, barsOf(["A"], count), 50);
    const listening = Promise.withResolvers<string>();
    const running = run(strategy, {
      symbols: [...new Set(topics), "out", ...rest],
      until: { records: 2 * count },
      pace: { maxPendingBars: 60, partitionBytesMax: 2_048 },
      metricsPort: 0,
      onListen: listening.resolve,
    });
    const cause = await causeOf(await listening.promise, "waits for its input");
    expect(cause).toContain(`of ${rest[0]} in partition ${log.partitionOf(rest[0])}: 1 inputs`);
    await log.put(behind, barsOf([behind === "in" ? "B" : "A"], count), 50);
    expect(await running).toMatchObject({ records: 2 * count, outputs: count });
    expect((await log.readAll("out")).flat().map(({ ts }) => ts / minute)).toEqual(
      Array.from({ length: count }, (_, at) => at),
    );
  });
}

const directory = scratchDirectory();
const start = Date.UTC(2025, 0, 1);

/** Bars of A and B by minute with holes, and of C by three minutes. */
function deepBars(count: number) {
  const whole = (bar: PlainBar): PlainBar => ({ ...bar, value: Math.round(bar.value) });
  const fine = barsOf(["A", "B"], count, start / minute)
    .map(whole)
    .filter(({ key, value }) => key === "A" || value % 5 !== 0);
  const coarse = barsOf(["C"], count, start / minute)
    .filter((_, i) => i % 3 === 0)
    .map(({ key, ts, value }) => ({ key, ts, value: value + 1 }));
  return { fine, coarse };
}

/** What a backtest over the bars stores, by node name: rows as bits. */
async function backtested(topics: readonly string[], count: number) {
  const path = join(directory, `history${serial}.db`);
  const { fine, coarse } = deepBars(count);
  const { graph } = prepare(Deep, { symbols: topics, interval: "1m" });
  const signal = AbortSignal.timeout(30_000);
  const write = { mode: "write", isSimulated: false } as const;
  const store = await openHistory(`sqlite:${path}`, write, signal);
  for (const { kind, keys, definitionId, interval, schema, source } of graph.nodes) {
    if (kind !== "stream") continue;
    const all = source !== undefined && "topic" in source && source.topic === topics[3];
    for (const { key, nodeId } of keys) {
      const own = (all ? coarse : fine).filter((bar) => bar.key === key);
      const rows = rowsOf(own.map(({ ts, value }) => [ts, value]));
      const series = { nodeId, definitionId, key, interval: interval.name, schema };
      const have = [{ start: start - 3_600_000, end: start + count * minute }];
      await store.persist(series, { rows, have, empty: [] }, signal);
    }
  }
  await store.close();
  const settings = { start, end: start + count * minute, history: `sqlite:${path}` };
  await runBacktest({ strategy: Deep, symbols: topics, settings });
  const stored = await readStore(path);
  const rowsOfNode = (name: string): readonly (readonly number[])[] => {
    const node = graph.nodes.find((own) => own.name === name);
    return stored.get(node?.keys[0]?.nodeId ?? "")?.rows ?? [];
  };
  return { sums: rowsOfNode("sum"), means: rowsOfNode("mean") };
}

for (const partitions of [1, 2, 4]) {
  test(`live join: joins behind joins over ${partitions} partitions equal a backtest, bit for bit`, async () => {
    const topics = ["fine", "sums", "means", "coarse"];
    const { log, run } = await logOf(partitions, "fine", "coarse");
    const { fine, coarse } = deepBars(300);
    await log.put("coarse", coarse, 7);
    await log.put("fine", fine, 11);
    await run(Deep, { symbols: topics, until: { records: fine.length + coarse.length } });
    const wanted = await backtested(topics, 300);
    for (const name of ["sums", "means"] as const) {
      const found = (await log.readAll(name)).flat().map(({ ts, value }) => [ts, value]);
      // Live, the last bars wait for a later one that says that nothing is missing.
      expect(wanted[name].length).toBeGreaterThan(150);
      expect(found.length).toBeGreaterThan(wanted[name].length - 8);
      expect(bitsOf(found)).toBe(bitsOf(wanted[name].slice(0, found.length)));
    }
  });
}
