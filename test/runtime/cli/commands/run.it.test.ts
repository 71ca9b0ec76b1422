/**
 * Goal: a live run from the command line does what one from code does, and a signal ends it in order.
 * Method: a strategy's file in a process of its own over a real broker, ended by signals; what it
 * published is compared with what a plain loop computes.
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { openTransport } from "../../../../connectors/kafka/index.ts";
import { type LiveReport } from "../../../../runtime/engine/live/live-report.ts";
import { qmtl, repository, spawnBun } from "../../../harness/child-run.ts";
import { scratchDirectory } from "../../../harness/scratch.ts";
import { describeWithServers, uniqueName } from "../../../harness/servers.ts";
import { barsOf, keyNames, LiveLog, meansOf } from "../../../integrity/live-log.ts";

setDefaultTimeout(60_000);

const cwd = scratchDirectory();
const file = join(repository, "test/integrity/live-program.ts");
const keys = keyNames(6);
/** Within which a signal ends a run. */
const stopMsMax = 5_000;

describeWithServers(["kafka"], "qmtl run --mode live", (started) => {
  /** Runs the strategy's file until `isOver`, ends it by `signal`, and gives what it printed. */
  async function run(
    args: readonly string[],
    isOver: () => Promise<unknown>,
    signal: "SIGTERM" | "SIGINT",
  ) {
    const live = ["--mode", "live", "--transport", started().kafka.url, "--threads", "2"];
    const child = spawnBun([qmtl, "run", file, ...live, ...args], { cwd });
    const stdout = new Response(child.stdout).text();
    const stderr = new Response(child.stderr).text();
    await Promise.race([isOver(), child.exited]);
    const startedMs = performance.now();
    child.kill(signal);
    // One key press in a terminal comes twice: from the terminal, and passed on.
    await Bun.sleep(3);
    child.kill(signal);
    const exitCode = await child.exited;
    const stopMs = performance.now() - startedMs;
    return { exitCode, stopMs, stdout: await stdout, stderr: await stderr };
  }

  test("SIGTERM and SIGINT end a run in order, with its result; the next one goes on", async () => {
    const transport = await openTransport(started().kafka.url, AbortSignal.timeout(60_000));
    try {
      const log = new LiveLog(transport, 2);
      const [input, output] = [uniqueName("input"), uniqueName("means")];
      await log.make(input);
      await log.make(output);
      const settings = ["--symbols", `${input},${output}`, "--state", "sqlite:state.db"];
      const bars = barsOf(keys, 60);
      const half = 30 * keys.length;
      await log.put(input, bars.slice(0, half));
      const first = await run(
        [...settings, "--json", "--profile"],
        async () => await log.until(output, 27 * keys.length),
        "SIGTERM",
      );
      expect(first.exitCode).toBe(0);
      expect(first.stopMs).toBeLessThan(stopMsMax);
      const report = JSON.parse(first.stdout) as LiveReport;
      expect(report).toMatchObject({
        strategy: "Means",
        mode: "live",
        deployment: "Means",
        records: half,
        outputs: 27 * keys.length,
        threads: 2,
        crashes: 0,
      });
      expect(report.profile?.phases.map(({ name }) => name)).toEqual([
        "decode",
        "compute",
        "encode",
        "network",
      ]);
      expect(report.profile?.nodes.map(({ name, calls }) => [name, calls])).toEqual([
        ["mean", 27 * keys.length],
      ]);
      const lines = first.stderr.trim().split("\n");
      expect(lines.map((line) => (JSON.parse(line) as { msg: string }).msg)).toEqual([
        "live run started",
        "live run stopped",
      ]);

      await log.put(input, bars.slice(half));
      const second = await run(
        settings,
        async () => await log.until(output, 57 * keys.length),
        "SIGINT",
      );
      expect([second.exitCode, second.stopMs < stopMsMax]).toEqual([0, true]);
      expect(second.stdout).toContain("Means  live  deployment Means, 2 threads");
      for (const [partition, own] of (await log.readAll(input)).entries()) {
        expect(await log.read(output, partition)).toEqual(meansOf(own));
      }
    } finally {
      await transport.close();
    }
  });

  test("--records ends a run by itself, --offset-reset says where it begins", async () => {
    const transport = await openTransport(started().kafka.url, AbortSignal.timeout(60_000));
    try {
      const log = new LiveLog(transport, 2);
      const [input, output] = [uniqueName("input"), uniqueName("means")];
      await log.make(input);
      await log.put(input, barsOf(keys, 10));
      const never = async (): Promise<unknown> => await new Promise(() => undefined);
      const args = ["--symbols", `${input},${output}`, "--json", "--records", "60"];
      const report = async (reset: string): Promise<LiveReport> => {
        const { exitCode, stdout } = await run(
          [...args, "--offset-reset", reset],
          never,
          "SIGTERM",
        );
        expect(exitCode).toBe(0);
        return JSON.parse(stdout) as LiveReport;
      };
      // The records' times in the log are 0.
      for (const reset of ["earliest", "1970-01-01"]) {
        expect(await report(reset)).toMatchObject({ records: 60, outputs: 7 * keys.length });
      }
    } finally {
      await transport.close();
    }
  });
});
