/** What is seen of a run on threads of its own: the pages answer while threads work and die. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { openTransport } from "../../../../../connectors/kafka/index.ts";
import { Runner } from "../../../../../runtime/index.ts";
import { scratchDirectory } from "../../../../harness/scratch.ts";
import { describeWithServers, uniqueName } from "../../../../harness/servers.ts";
import { barsOf, keyNames, LiveLog } from "../../../../integrity/live-log.ts";
import { Fragile } from "../../../../integrity/live-strategies.ts";

setDefaultTimeout(60_000);

const directory = scratchDirectory();
const module = new URL("../../../../integrity/live-strategies.ts", import.meta.url).href;

describeWithServers(["kafka"], "a live run seen from outside", (started) => {
  test("both threads are counted; a node that dies too often is counted, named and quarantined", async () => {
    const signal = AbortSignal.timeout(50_000);
    const transport = await openTransport(started().kafka.url, signal);
    const log = new LiveLog(transport, 2);
    const input = uniqueName("input");
    await log.make(input);
    const bars = barsOf(keyNames(8), 50);
    await log.put(input, bars);
    const stop = new AbortController();
    const url = Promise.withResolvers<string>();
    const running = Runner.live(Fragile, {
      transport: started().kafka.url,
      state: `sqlite:${join(directory, "state.db")}`,
      symbols: [input, ...["steady", "fragile", "child"].map(uniqueName)],
      module,
      threads: 2,
      watch: { crashesMax: 2 },
      metricsPort: 0,
      onListen: url.resolve,
      profile: true,
      signal: AbortSignal.any([stop.signal, signal]),
    });
    const base = await Promise.race([url.promise, running.then(() => "ended")]);
    const page = async (path: string) => await fetch(`${base}${path}`);
    /** The sum over all samples of a metric, once it is at least `least`. */
    const until = async (metric: string, least: number): Promise<number> => {
      for (;;) {
        signal.throwIfAborted();
        const text = await (await page("/metrics")).text();
        const lines = text.split("\n").filter((line) => line.startsWith(`${metric}{`));
        const sum = lines.reduce((all, line) => all + Number(line.split(" ").at(-1)), 0);
        if (sum >= least) return sum;
        await Bun.sleep(20);
      }
    };
    expect(await until("qmtl_records_total", bars.length)).toBe(bars.length);
    expect(await until("qmtl_node_processed_total", 3 * bars.length)).toBe(3 * bars.length);
    expect(await until("qmtl_checkpoints_total", 2)).toBeGreaterThanOrEqual(2);
    expect((await page("/readyz")).status).toBe(200);
    expect((await page("/healthz")).status).toBe(200);

    await log.put(input, [{ key: "K0", ts: 100 * 60_000, value: 666 }]);
    expect(await until("qmtl_node_quarantined_partitions", 1)).toBe(1);
    expect(await until("qmtl_node_process_failure_total", 2)).toBe(2);
    expect(await until("qmtl_thread_crashes_total", 2)).toBe(2);
    // The successor goes on without the node, and the run is well again.
    const healthy = async (): Promise<unknown> => {
      for (;;) {
        signal.throwIfAborted();
        const answer = await page("/healthz");
        if (answer.status === 200) return await answer.json();
        await Bun.sleep(20);
      }
    };
    expect(await healthy()).toMatchObject({
      quarantined: [{ node: "fragile", partition: log.partitionOf("K0") }],
      threads: [{ thread: 0 }, { thread: 1 }],
      dependencies: { transport: { status: "ok" }, state: { status: "ok" } },
    });
    stop.abort();
    const report = await running;
    expect(report.crashes).toBe(2);
    expect(report.profile?.nodes.map(({ name }) => name).toSorted()).toEqual([
      "child",
      "fragile",
      "steady",
    ]);
    expect(await page("/healthz").catch(() => "refused")).toBe("refused");
    await transport.close();
  });
});
