import { expect, test } from "bun:test";
import { connectors } from "../../../../connectors/index.ts";
import { liveBySettings } from "../../../../runtime/engine/live/live-settings.ts";
import { resolveSettings } from "../../../../runtime/engine/settings.ts";
import { Means } from "../../../integrity/live-strategies.ts";

const program = {
  strategy: Means,
  module: "file:///means.ts",
  symbols: ["in", "out"],
  interval: 300,
  isProfiled: true,
  connectors,
};
const settingsOf = (given: object) => resolveSettings(given, {}, "no-such-file.yml");

test("a live run has what its settings say, and the strategy's defaults for the rest", () => {
  const given = {
    transport: "kafka://h:1",
    state: "redis://h:2",
    symbols: "A,B",
    interval: "1h",
    deployment: "d",
    threads: "3",
    records: "7",
    offsetReset: "2025-01-01",
    metricsPort: "0",
  };
  expect(liveBySettings(program, settingsOf(given))).toMatchObject({
    ref: { module: "file:///means.ts", exportName: "Means" },
    flags: { symbols: ["A", "B"], interval: "1h" },
    transport: "kafka://h:1",
    state: "redis://h:2",
    deployment: "d",
    threads: 3,
    recordsMax: 7,
    offsetReset: Date.UTC(2025, 0, 1),
    metricsPort: 0,
    profile: true,
  });
  const transport = "kafka://h:1";
  expect(liveBySettings(program, settingsOf({ transport }))).toMatchObject({
    flags: { symbols: ["in", "out"], interval: "5m" },
    state: "memory:",
    deployment: "Means",
    threads: undefined,
    recordsMax: undefined,
    offsetReset: "fail",
    metricsPort: undefined,
  });
});

test("a strategy without symbols runs for the keys it meets", () => {
  const bare = { ...program, symbols: undefined, interval: undefined };
  const { flags } = liveBySettings(bare, settingsOf({ transport: "kafka://h:1" }));
  expect(flags).toEqual({ symbols: [], interval: "1m" });
});

test("without a transport there is nothing to run on", () => {
  expect(() => liveBySettings(program, settingsOf({}))).toThrow("wanted --transport");
});
