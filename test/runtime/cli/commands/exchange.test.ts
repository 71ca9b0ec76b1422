import { expect, setDefaultTimeout, test } from "bun:test";
import { qmtl, runBun, spawnBun } from "../../../harness/child-run.ts";
import { scratchDirectory } from "../../../harness/scratch.ts";

setDefaultTimeout(30_000);
const cwd = scratchDirectory();

test("qmtl exchange prints its URL, serves there with its faults, and ends at SIGTERM", async () => {
  const faults = ["--faults", "451:every=2;gaps:every=2"];
  const child = spawnBun([qmtl, "exchange", "--json", "--seed", "3", ...faults], { cwd });
  const output = child.stdout.getReader();
  const line = new TextDecoder().decode((await output.read()).value);
  const { url } = JSON.parse(line) as { url: string };
  const ask = async () =>
    await fetch(`${url}/api/v3/klines?symbol=BTCUSDT&interval=1m&startTime=0&limit=5`);
  const first = await ask();
  const rows = (await first.json()) as number[][];
  expect(first.status).toBe(200);
  expect(rows.map((row) => (row[0]! / 60_000) % 2)).toEqual([1, 1, 1, 1, 1]);
  expect((await ask()).status).toBe(451);
  child.kill("SIGTERM");
  expect(await child.exited).toBe(0);
});

test("qmtl exchange refuses what it cannot serve in one line", async () => {
  for (const [args, says] of [
    [["--faults", "429:sometimes=1"], 'setting "sometimes"'],
    [["--port", "99999"], "port"],
    [["--seed", "x"], "seed"],
    [["--recorded", "nowhere"], "nowhere"],
    [["--recroded", "."], '"--recroded"'],
  ] as const) {
    const { exitCode, stdout, stderr } = await runBun([qmtl, "exchange", ...args], { cwd });
    expect([exitCode, stdout, stderr.trimEnd().split("\n").length]).toEqual([1, "", 1]);
    expect(stderr).toContain(says);
  }
});
