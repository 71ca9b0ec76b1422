import { expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { checkMode, resolveSettings } from "../../../runtime/engine/settings.ts";

const none = "no-such-file.yml";

test("a flag wins over the environment, that over the file, that over the default", () => {
  const folder = mkdtempSync(join(tmpdir(), "qmtl-settings-"));
  try {
    const file = join(folder, "qmtl.yml");
    writeFileSync(file, "symbols: [A]\ninterval: 5m\nthreads: 3\nhistory: sqlite:file.db\n");
    const environment = { QMTL_INTERVAL: "15m", QMTL_THREADS: "2", OTHER: "x" };
    const settings = resolveSettings({ threads: "1" }, environment, file);
    expect(settings).toMatchObject({
      symbols: ["A"],
      interval: "15m",
      threads: 1,
      history: "sqlite:file.db",
      exchange: "auto",
      refetch: false,
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("times are ISO in UTC, epoch seconds or epoch ms", () => {
  for (const start of [
    "2020-01-01",
    "2020-01-01T00:00",
    "2020-01-01 00:00:00",
    "2020-01-01T01:00:00+01:00",
    1_577_836_800,
    "1577836800000",
    new Date(1_577_836_800_000),
  ]) {
    expect(resolveSettings({ start }, {}, none).start).toBe(1_577_836_800_000);
  }
});

test("exchanges are named with their argument", () => {
  const of = (exchange: string) => resolveSettings({ exchange }, {}, none).exchange;
  expect([of("auto"), of("binance"), of("simulated:7"), of("recorded:a:b")]).toEqual([
    "auto",
    { kind: "binance" },
    { kind: "simulated", seed: 7 },
    { kind: "recorded", dir: "a:b" },
  ]);
});

test("all faults are named at once: unknown keys, unknown variables, bad values", () => {
  const given = { interval: "7m", threads: "0", start: "yesterday", exchange: "nyse", colour: 1 };
  let message = "";
  try {
    resolveSettings(given, { QMTL_HISTROY: "x" }, none);
  } catch (error) {
    message = (error as Error).message;
  }
  for (const part of [
    "QMTL_HISTROY: unknown environment variable",
    'interval: Cannot use the interval: found "7m"',
    "threads: ",
    'start: found "yesterday", wanted an ISO time or epoch s or ms',
    'exchange: found "nyse", wanted auto, binance, simulated, simulated:SEED or recorded:DIR',
    '"colour"',
  ]) {
    expect(message).toContain(part);
  }
});

test("a file that is no mapping, or no YAML, is named", () => {
  const folder = mkdtempSync(join(tmpdir(), "qmtl-settings-"));
  try {
    const file = join(folder, "qmtl.yml");
    for (const content of ["- a\n", "a: [\n"]) {
      writeFileSync(file, content);
      expect(() => resolveSettings({}, {}, file)).toThrow("qmtl.yml");
    }
    writeFileSync(file, "");
    expect(resolveSettings({}, {}, file).exchange).toBe("auto");
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("what is given for another mode is refused by its flag", () => {
  expect(() => checkMode("live", { start: "2025-01-01", symbols: "A", threads: 1 })).toThrow(
    "found --start with --mode live, wanted --mode backtest or none of them",
  );
  expect(() => checkMode("backtest", { offsetReset: "latest", metricsPort: 0 })).toThrow(
    "found --offset-reset, --metrics-port with --mode backtest",
  );
  checkMode("live", { start: undefined, offsetReset: "latest", state: "redis://h" });
  checkMode("backtest", { start: 0, state: "redis://h" });
});

test("where a live run begins is a word or a time", () => {
  const of = (offsetReset: unknown) => resolveSettings({ offsetReset }, {}, none).offsetReset;
  expect([of(undefined), of("earliest"), of("latest"), of("2025-01-01"), of(0)]).toEqual([
    "fail",
    "earliest",
    "latest",
    Date.UTC(2025, 0, 1),
    0,
  ]);
  for (const bad of ["soon", "-5", ""]) expect(() => of(bad)).toThrow("wanted earliest, latest");
});
