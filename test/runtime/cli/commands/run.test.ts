import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { binanceHistory, qmtl, repository, runBun, spawnBun } from "../../../harness/child-run.ts";
import { parseReport } from "../../../harness/json-report.ts";
import { scratchDirectory } from "../../../harness/scratch.ts";

setDefaultTimeout(30_000);
const cwd = scratchDirectory();
const liveProgram = join(repository, "test/integrity/live-program.ts");
const day = ["--exchange", "simulated", "--start", "2025-01-01", "--end", "2025-01-02"];

test("qmtl run FILE hands all flags to the strategy, and its exit code back", async () => {
  const args = [qmtl, "run", binanceHistory, ...day, "--symbols", "SOLUSDT", "--json"];
  const { exitCode, stdout } = await runBun(args, { cwd });
  const report = parseReport(stdout);
  expect([exitCode, report.strategy, report.streams[0]?.symbol, report.records]).toEqual([
    0,
    "BinanceHistory",
    "SOLUSDT",
    1_440,
  ]);
  const refused = await runBun([qmtl, "run", binanceHistory, "--frobnicate"], { cwd });
  expect([refused.exitCode, refused.stderr]).toEqual([
    1,
    expect.stringMatching(/^qmtl: Cannot read the command line: .*--frobnicate/),
  ]);
  const help = await runBun([qmtl, "run", binanceHistory, "--help"], { cwd });
  expect(help.stdout).toContain("--symbols-file");
});

test("qmtl run without a file, or with one that is not there, says so", async () => {
  expect((await runBun([qmtl, "run"], { cwd })).exitCode).toBe(1);
  const { exitCode, stderr } = await runBun([qmtl, "run", "nowhere.ts"], { cwd });
  expect([exitCode, stderr]).toEqual([
    1,
    'qmtl: Cannot run "nowhere.ts": there is no such file, wanted a strategy\n',
  ]);
});

test("qmtl run passes SIGINT on and waits for the strategy's end", async () => {
  const file = join(cwd, "waits.ts");
  await Bun.write(
    file,
    `process.on("SIGINT", () => { console.log("told"); process.exit(42); });
     console.log("ready"); setInterval(() => undefined, 1_000);`,
  );
  const child = spawnBun([qmtl, "run", file], { cwd });
  const output = child.stdout.getReader();
  const decoder = new TextDecoder();
  expect(decoder.decode((await output.read()).value)).toBe("ready\n");
  child.kill("SIGINT");
  expect(decoder.decode((await output.read()).value)).toBe("told\n");
  expect(await child.exited).toBe(42);
});

const live = ["--mode", "live", "--transport", "kafka://127.0.0.1:1"];

for (const [args, fault] of [
  [["--mode", "dryrun"], 'mode: found "dryrun", which is not built yet, wanted backtest or live'],
  [["--mode", "live"], "no transport is given, wanted --transport kafka://HOST:PORT"],
  [[...live, "--start", "2025-01-01", "--refetch"], "found --start, --refetch with --mode live"],
  [["--offset-reset", "latest"], "found --offset-reset with --mode backtest, wanted --mode live"],
  [["--mode", "live", "--transport", "amqp://x"], 'found the scheme "amqp"'],
  [[...live, "--offset-reset", "soon"], 'offsetReset: found "soon", wanted earliest, latest or'],
  [
    [...live, "--threads", "0", "--metrics-port", "99999"],
    "metricsPort: found 99999, wanted <= 65535",
  ],
  [[...live, "--deployment", "a/b"], "deployment: wanted 1 to 128 letters"],
] as const) {
  test(`qmtl run ${args.join(" ")} is refused in one line`, async () => {
    const { exitCode, stdout, stderr } = await runBun([qmtl, "run", liveProgram, ...args], { cwd });
    expect([exitCode, stdout]).toEqual([1, ""]);
    expect(stderr).toContain(fault);
    expect(stderr.trimEnd().split("\n")).toHaveLength(1);
  });
}
