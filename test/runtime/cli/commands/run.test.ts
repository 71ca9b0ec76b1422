import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { binanceHistory, qmtl, runBun, spawnBun } from "../../../harness/child-run.ts";
import { parseReport } from "../../../harness/json-report.ts";
import { scratchDirectory } from "../../../harness/scratch.ts";

setDefaultTimeout(30_000);
const cwd = scratchDirectory();
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
