import { expect, test } from "bun:test";
import { checkLiveLimits } from "../../../../runtime/engine/live/live-limits.ts";

const least = { deployment: "means", offsetReset: "fail", pace: {}, watch: {} } as const;

test("what is left out has a default; what is given keeps to its limits", () => {
  expect(() => checkLiveLimits(least)).not.toThrow();
  for (const offsetReset of ["earliest", "latest", 0, 1_700_000_000_000] as const) {
    expect(() => checkLiveLimits({ ...least, offsetReset })).not.toThrow();
  }
  const full = {
    threads: 256,
    recordsMax: 1,
    latency: { field: "sent", unit: "us", skip: 0 },
  } as const;
  expect(() => checkLiveLimits({ ...least, ...full })).not.toThrow();
});

test("all faults are named at once, each with its place", () => {
  const given = {
    ...least,
    deployment: "a/b",
    threads: 0,
    pace: { checkpointMs: 0, batchBytesMax: 1 },
  };
  expect(() => checkLiveLimits(given)).toThrow(
    "Cannot run live: deployment: wanted 1 to 128 letters, digits, dots, dashes, underscores; threads: found 0, wanted >= 1; pace.batchBytesMax: found 1, wanted >= 16384; pace.checkpointMs: found 0, wanted >= 1",
  );
  expect(() => checkLiveLimits({ ...least, offsetReset: "newest" as "latest" })).toThrow(
    "offsetReset: wanted fail, earliest, latest or a time in ms",
  );
  const misspelt = { ...least, watch: { stallMs: 5 } } as typeof least;
  expect(() => checkLiveLimits(misspelt)).toThrow('watch: Unrecognized key: "stallMs"');
});
