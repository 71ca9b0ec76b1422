/**
 * Goal: the benches of stores that need no server go on working. Method: each runs on little; they
 * throw where work is lost, so their lines are all that is left to look at.
 */
import { expect, test } from "bun:test";
import { measureCheckpoints } from "../../bench/stores/checkpoint.bench.ts";
import { measureSqlite } from "../../bench/stores/growth.bench.ts";

const signal = AbortSignal.timeout(60_000);

test("bench checkpoint: with a checkpoint each lap no signal is lost and the last one is restored", async () => {
  const lines = await measureCheckpoints({ lapRows: 1, everyMs: 0, turnMs: 1, rounds: 2 }, signal);
  expect(lines.map(({ role }) => role)).toEqual(["ours", "ours", "ours", "baseline", "limit"]);
  for (const { nsPerRecord } of lines) expect(nsPerRecord).toBeGreaterThan(0);
  // 8 partitions of 64 windows of 60 rows with 9 columns are 2.21 MB, and little comes on top.
  for (const { note } of lines.slice(0, 3)) expect(note).toEndWith(", 2.2 MB");
});

test("bench growth: rows come to 10 times as many, all of them there", async () => {
  const options = { rows: 200, pageRows: 100 };
  const written = await measureSqlite({ ...options, part: "write" }, signal);
  expect(written.map(({ name }) => name)).toEqual([
    "sqlite, rows up to 200",
    "sqlite, as many up to 2000",
  ]);
  const read = await measureSqlite({ ...options, part: "read" }, signal);
  expect(read.map(({ role }) => role)).toEqual(["baseline", "ours", "ours"]);
  for (const { nsPerRecord } of [...written, ...read]) expect(nsPerRecord).toBeGreaterThan(0);
});
