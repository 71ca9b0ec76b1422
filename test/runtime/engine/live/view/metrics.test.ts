import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { openTransport } from "../../../../../connectors/memory/index.ts";
import { liveMetrics } from "../../../../../runtime/engine/live/view/metrics.ts";
import { type LiveOptions, Runner } from "../../../../../runtime/index.ts";
import { LiveLog, minute } from "../../../../integrity/live-log.ts";
import { ListedMeans } from "../../../../integrity/live-strategies.ts";
import { fixed, logBatch } from "../../../worker/live/log-bytes.ts";

const signal = AbortSignal.timeout(60_000);

/** Samples of a page by name and labels. */
function samplesOf(page: string): ReadonlyMap<string, number> {
  const lines = page.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(
    lines.map((line) => {
      const at = line.lastIndexOf(" ");
      return [line.slice(0, at), Number(line.slice(at + 1))];
    }),
  );
}

/** A live run over `memory:` with its pages, until `stop`. */
async function liveRun(name: string, options: Partial<LiveOptions> = {}) {
  const transport = await openTransport(`memory:${name}`, signal);
  const log = new LiveLog(transport, 1);
  await log.make("in");
  const stop = new AbortController();
  const url = Promise.withResolvers<string>();
  const ended = Runner.live(ListedMeans, {
    transport: `memory:${name}`,
    symbols: ["in", "out", "K0"],
    deployment: name,
    metricsPort: 0,
    onListen: url.resolve,
    signal: AbortSignal.any([stop.signal, signal]),
    ...options,
  });
  let last = "";
  const base = await Promise.race([url.promise, ended.then(() => "ended")]);
  return {
    log,
    base,
    page: async (path: string) => await fetch(`${base}${path}`),
    /** `/metrics` as `until` saw it last. */
    get last() {
      return last;
    },
    /** Samples of `/metrics` once `name` is at least `least`. */
    async until(sample: string, least: number) {
      for (;;) {
        signal.throwIfAborted();
        last = await (await fetch(`${base}/metrics`)).text();
        const samples = samplesOf(last);
        if ((samples.get(sample) ?? 0) >= least) return samples;
        await Bun.sleep(5);
      }
    },
    async end() {
      stop.abort();
      const report = await ended;
      await transport.close();
      return report;
    },
  };
}

test("a run's metrics are what went in and came out, counted by hand", async () => {
  const run = await liveRun("metrics1");
  const bar = (key: string, at: number) => ({ key, value: fixed("f", [at * minute, 1]) });
  const records = [
    ...[0, 1, 2, 3, 4, 5].map((at) => bar("K0", at)),
    { key: "K0", value: `[${6 * minute}, 2.5]` },
    bar("K0", 6), // duplicate
    bar("K0", 1), // late
    bar("K7", 1), // foreign
    { key: "K0", value: "no value" }, // dead letter, after the slow path
  ];
  const batch = logBatch(records);
  await run.log.transport.produce("in", 0, batch, signal);
  const labels = 'stream="bars",topic="in",partition="0",thread="0",deployment="metrics1"';
  const name = [
    ...(await run.until('process_resident_memory_bytes{deployment="metrics1"}', 1)).keys(),
  ].find((key) => key.startsWith("qmtl_records_total"))!;
  const streamLabels = name.slice(name.indexOf("{"));
  expect(streamLabels.replace(/stream="[^"]*"/, 'stream="bars"')).toBe(`{${labels}}`);
  const samples = await run.until(name, records.length);
  const of = (metric: string) => samples.get(`${metric}${streamLabels}`);
  expect(of("qmtl_records_total")).toBe(11);
  expect(of("qmtl_fetched_bytes_total")).toBe(batch.length);
  expect(of("qmtl_slow_path_records_total")).toBe(2);
  expect(of("qmtl_dead_letter_records_total")).toBe(1);
  expect(of("qmtl_foreign_records_total")).toBe(1);
  expect(of("qmtl_late_records_total")).toBe(1);
  expect(of("qmtl_duplicate_records_total")).toBe(1);
  expect(of("qmtl_lag_records")).toBe(0);
  expect(of("qmtl_position_offset")).toBe(11);
  expect(of("qmtl_checkpoints_total")).toBeUndefined();
  // The bar that opens at minute 6 closes at minute 7.
  const watermark = `qmtl_watermark_timestamp_seconds${streamLabels}`;
  expect((await run.until(watermark, 7 * 60)).get(watermark)).toBe(7 * 60);
  // Seven bars of K0 give four means of four.
  const outputs = [...samples].filter(([key]) => key.startsWith("qmtl_node_outputs_total"));
  expect(outputs).toEqual([[expect.stringContaining('node="mean"'), 4]]);
  expect(samples.get('qmtl_thread_crashes_total{thread="0",deployment="metrics1"}')).toBe(0);
  const rss = samples.get('process_resident_memory_bytes{deployment="metrics1"}')!;
  expect(rss).toBeGreaterThan(10 << 20);
  expect([...samples.keys()].some((key) => key.includes("processed"))).toBe(false);
  expect(await run.end()).toMatchObject({ records: 11, outputs: 4 });
});

test("two runs in one process do not meet in their metrics", async () => {
  const [one, two] = [await liveRun("metrics2"), await liveRun("metrics3")];
  expect(one.base).not.toBe(two.base);
  const text = await (await one.page("/metrics")).text();
  expect(text).toContain('deployment="metrics2"');
  expect(text).not.toContain("metrics3");
  await one.end();
  expect((await two.page("/metrics")).status).toBe(200);
  await two.end();
});

test("with a state store, checkpoints are counted and their age is known", async () => {
  const run = await liveRun("metrics4", { state: "memory:", pace: { checkpointMs: 20 } });
  const page = await (await run.page("/metrics")).text();
  const [labels] = /\{stream=[^}]*\}/.exec(page)!;
  const samples = await run.until(`qmtl_checkpoints_total${labels}`, 2);
  expect(samples.get(`qmtl_checkpoint_age_seconds${labels}`)).toBeLessThan(10);
  expect(samples.get(`qmtl_checkpoint_duration_seconds${labels}`)).toBeLessThan(10);
  const health: unknown = await (await run.page("/healthz")).json();
  expect(health).toMatchObject({ dependencies: { state: { status: "ok" } } });
  await run.end();
});

test("a thread's time is told by phase: all that is done with records is decode or compute", async () => {
  const run = await liveRun("metrics6");
  const bars = Array.from({ length: 5_000 }, (_, at) => ({ key: "K0", ts: at * minute, value: 1 }));
  await run.log.put("in", bars);
  const page = await (await run.page("/metrics")).text();
  const [labels] = /\{node="mean"[^}]*\}/.exec(page)!;
  await run.until(`qmtl_node_outputs_total${labels}`, 4_997);
  const report = await run.end();
  const samples = samplesOf(run.last);
  const seconds = (phase: string): number =>
    samples.get(`qmtl_thread_seconds_total{thread="0",phase="${phase}",deployment="metrics6"}`)!;
  const [decode, compute] = [seconds("decode"), seconds("compute")];
  expect(decode).toBeGreaterThan(0);
  expect(compute).toBeGreaterThan(0);
  // The last page was read before the end: it can't know of more than the report.
  expect(decode + compute).toBeLessThanOrEqual(report.computeSeconds * (1 + 1e-9));
});

test("a profiled run counts the calls of its nodes", async () => {
  const run = await liveRun("metrics5", { profile: true });
  const bars = Array.from({ length: 200 }, (_, at) => ({ key: "K0", ts: at * minute, value: 1 }));
  await run.log.put("in", bars);
  const page = await (await run.page("/metrics")).text();
  const [labels] = /\{node="mean"[^}]*\}/.exec(page)!;
  const samples = await run.until(`qmtl_node_processed_total${labels}`, 197);
  expect(samples.get(`qmtl_node_processed_total${labels}`)).toBe(197);
  expect(samples.get(`qmtl_node_process_duration_seconds_total${labels}`)).toBeLessThan(1);
  const report = await run.end();
  expect(report.profile!.nodes).toEqual([expect.objectContaining({ name: "mean", calls: 197 })]);
  expect(report.profile!.phases.map(({ name }) => name)).toEqual([
    "decode",
    "compute",
    "encode",
    "network",
  ]);
});

test("docs/metrics.md lists every metric with kind, labels and help, and no other", () => {
  const page = readFileSync(join(import.meta.dir, "../../../../../docs/metrics.md"), "utf8");
  const rows = [...page.matchAll(/^\| `(\w+)` \| (counter|gauge) \| (.+?) \| (.+) \|$/gm)];
  expect(rows.map(([, ...cells]) => cells)).toEqual(
    liveMetrics.map(({ name, kind, labels, help }) => [
      name,
      kind,
      labels.length === 0 ? "–" : labels.join(", "),
      help,
    ]),
  );
});

test("names follow the conventions: one prefix, counters end in _total, base units", () => {
  for (const { name, kind, help } of liveMetrics) {
    expect(name).toMatch(/^(qmtl|process)_[a-z_]+$/);
    expect(name.endsWith("_total")).toBe(kind === "counter");
    expect(name).not.toMatch(/_(ms|kb|mb)(_|$)/);
    expect(help).toMatch(/^[A-Z].*[^.]$/);
  }
  expect(new Set(liveMetrics.map(({ name }) => name)).size).toBe(liveMetrics.length);
});
