import { expect, spyOn, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { main } from "../../../../runtime/engine/terminal/main.ts";
import { QmtlError } from "../../../../runtime/index.ts";
import { sampleReport } from "../../../harness/sample-report.ts";
import { scratchDirectory } from "../../../harness/scratch.ts";

const directory = scratchDirectory();
type Run = Parameters<typeof main>[0]["run"];

/** Runs `main` and returns its exit code, what it printed, and what the run was given. */
async function program(argv: readonly string[], run: Run = async () => await done()) {
  const printed = { stdout: "", stderr: "" };
  const given: Record<string, unknown>[] = [];
  const spies = (["stdout", "stderr"] as const).map((name) =>
    spyOn(process[name], "write").mockImplementation((text) => {
      printed[name] += String(text);
      return true;
    }),
  );
  try {
    const exitCode = await main({
      name: "Sample",
      argv,
      run: async (options) => {
        given.push({ ...options });
        return await run(options);
      },
    });
    return { exitCode, ...printed, given };
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}

async function done(report = sampleReport) {
  return await Promise.resolve(report);
}

test("flags reach the run by the names of settings", async () => {
  const file = join(directory, "symbols.txt");
  writeFileSync(file, "BTCUSDT\nETHUSDT, SOLUSDT\n\n");
  const { given } = await program([
    "--symbols-file",
    file,
    "--start=2025-01-01",
    "--end",
    "1735776000",
    "--threads",
    "2",
    "--refetch",
  ]);
  expect(given[0]).toMatchObject({
    symbols: ["BTCUSDT", "ETHUSDT", "SOLUSDT"],
    startTime: "2025-01-01",
    endTime: "1735776000",
    threads: "2",
    refetch: true,
  });
  expect(given[0]).not.toContainAnyKeys(["start", "end", "json", "symbols-file"]);
});

test("--json prints one object on standard output, and nothing else", async () => {
  const { exitCode, stdout, stderr } = await program(["--json"], async ({ onProgress }) => {
    onProgress({ kind: "note", text: "by the way" });
    return await done();
  });
  expect([exitCode, stderr]).toEqual([0, "by the way\n"]);
  expect(JSON.parse(stdout)).toMatchObject({ strategy: "Sample", records: 2_870 });
});

test("--help lists every flag and runs nothing", async () => {
  const { exitCode, stdout, given } = await program(["--help"]);
  expect([exitCode, given]).toEqual([0, []]);
  for (const flag of [
    "symbols",
    "symbols-file",
    "interval",
    "start",
    "end",
    "exchange",
    "history",
    "mode",
    "transport",
    "deployment",
    "offset-reset",
    "records",
    "metrics-port",
  ]) {
    expect(stdout).toContain(`--${flag}`);
  }
  for (const flag of ["threads", "refetch", "json", "no-progress"]) expect(stdout).toContain(flag);
});

test("a named error is one line; one of ours shows where it was thrown", async () => {
  const refused = await program([], () => {
    throw new QmtlError("STORE_FULL", "Cannot write: found none, wanted free space");
  });
  expect(refused).toMatchObject({
    exitCode: 1,
    stdout: "",
    stderr: "qmtl: Cannot write: found none, wanted free space [STORE_FULL]\n",
  });
  const ours = await program([], () => {
    throw new TypeError("x is not a function");
  });
  expect(ours.exitCode).toBe(1);
  expect(ours.stderr).toMatch(/^qmtl: internal error: .*x is not a function/);
});

test("a run without a single record of what it was asked for is a failure", async () => {
  const empty = { ...sampleReport, records: 0 };
  expect((await program([], async () => await done(empty))).exitCode).toBe(1);
  expect((await program([])).exitCode).toBe(0);
});

test("SIGINT aborts the run, with exit code 130", async () => {
  const { exitCode, stderr } = await program([], async ({ signal }) => {
    process.emit("SIGINT");
    signal.throwIfAborted();
    return await done();
  });
  expect([exitCode, stderr]).toEqual([
    130,
    "qmtl: Cannot go on: interrupted; what was fetched is stored [ABORTED]\n",
  ]);
});

test("a signal's echo is heard, and a later signal is left to do what it does", async () => {
  const before = process.listenerCount("SIGINT");
  let after = Number.NaN;
  await program([], async () => {
    for (const signal of ["SIGINT", "SIGINT", "SIGTERM"]) {
      expect(process.listenerCount(signal)).toBeGreaterThan(before);
      process.emit(signal);
    }
    await Bun.sleep(1_050);
    after = process.listenerCount("SIGINT");
    return await done();
  });
  expect(after).toBe(before);
});
