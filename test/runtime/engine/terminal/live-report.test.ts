import { expect, test } from "bun:test";
import { type LiveReport } from "../../../../runtime/engine/live/live-report.ts";
import { liveJson, renderLive } from "../../../../runtime/engine/terminal/live-report.ts";

const quiet: LiveReport = {
  strategy: "Momentum",
  mode: "live",
  deployment: "momentum-1",
  records: 120_000,
  outputs: 11_900,
  seconds: 4.5,
  secondsFromFirst: 4,
  p50: Number.NaN,
  p99: Number.NaN,
  slowPath: 3,
  deadLetters: 2,
  checkpoints: 17,
  offsetResets: 0,
  crashes: 0,
  quarantined: [],
  released: 0,
  threads: 2,
  fetchSeconds: 6,
  computeSeconds: 1.5,
  flushSeconds: 0.5,
};

test("a report says what was taken, what came of it, how fast, and where threads were", () => {
  const text = Bun.stripANSI(renderLive(quiet));
  expect(text).toContain("Momentum  live  deployment momentum-1, 2 threads");
  expect(text).toMatch(/│ +120,000 │ +11,900 │ +3 │ +2 │ +17 │/);
  expect(text).toContain("4.0 s from the first record to the last, 30,000 records/s");
  expect(text).toContain("threads waited 75 %, computed 19 %, sent 6 %");
  expect(text).not.toContain("note");
});

test("what went wrong is a note each", () => {
  const quarantined = ["spread/0", "spread/3"];
  const text = Bun.stripANSI(
    renderLive({ ...quiet, crashes: 12, quarantined, released: 1, offsetResets: 2 }),
  );
  expect(text.match(/note .*/g)).toEqual([
    "note 12 crashes of threads, which were brought back",
    "note quarantined at the end: spread/0, spread/3",
    "note 1 quarantine over before the end",
    "note 2 positions were gone and moved as --offset-reset says",
  ]);
});

test("a run that took nothing has a rate of 0, not of nothing", () => {
  const nothing = { fetchSeconds: 0, computeSeconds: 0, flushSeconds: 0 };
  const empty = { ...quiet, ...nothing, records: 0, secondsFromFirst: 0, threads: 1 };
  expect(renderLive(empty)).toContain("0 records/s; threads waited 0 %");
  expect(renderLive(empty)).toContain("1 thread");
});

test("as JSON it is one object: what is not known is null", () => {
  expect(JSON.parse(liveJson(quiet))).toEqual({
    ...quiet,
    p50: null,
    p99: null,
    recordsPerSecond: 30_000,
  });
});
