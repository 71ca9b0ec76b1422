import { expect, test } from "bun:test";
import { qmtl, runBun } from "../../harness/child-run.ts";
import { scratchDirectory } from "../../harness/scratch.ts";

const cwd = scratchDirectory();

test("qmtl --help lists the commands, --version the version of package.json", async () => {
  const help = await runBun([qmtl, "--help"], { cwd });
  expect(help.exitCode).toBe(0);
  for (const name of ["run", "history", "exchange", "up", "down", "status", "doctor", "bench"]) {
    expect(help.stdout).toMatch(new RegExp(`\\b${name}\\b`));
  }
  const version = await runBun([qmtl, "--version"], { cwd });
  const { default: manifest } = await import("../../../package.json");
  expect(version.stdout.trim()).toBe(manifest.version);
});

test("an unknown command is named, with exit code 1", async () => {
  const { exitCode, stderr } = await runBun([qmtl, "frobnicate"], { cwd });
  expect([exitCode, stderr.includes("frobnicate")]).toEqual([1, true]);
});
