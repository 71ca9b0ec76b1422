import { expect, test } from "bun:test";
import { StreamInput } from "../../../../nodes/index.ts";
import { buildGraph } from "../../../../runtime/graph/graph.ts";
import { LatencyLog } from "../../../../runtime/worker/live/latency-log.ts";

const nowMs = (): number => performance.timeOrigin + performance.now();

test("a latency is the time since the stamp, in ms whatever the stamp's unit is", () => {
  for (const [unit, scale] of [
    ["ms", 1],
    ["us", 1_000],
  ] as const) {
    const log = new LatencyLog({ field: "sent", unit, skip: 0 });
    const before = nowMs();
    log.add((before - 250) * scale);
    const [value] = log.values();
    expect(value).toBeWithin(249.9, 250 + (nowMs() - before) + 0.1);
  }
});

test("the first records are left out, and room is made for as many as come", () => {
  const log = new LatencyLog({ field: "sent", unit: "ms", skip: 3 });
  const stamp = nowMs();
  for (let i = 0; i < 70_003; i += 1) log.add(stamp - i);
  const values = log.values();
  expect(values).toHaveLength(70_000);
  // The fourth is the first that counts: at least 3 ms old.
  expect(values[0]).toBeGreaterThanOrEqual(3);
  expect(values.at(-1)).toBeGreaterThanOrEqual(70_002);
});

test("a stream without the field is FIELD_UNKNOWN, naming both", () => {
  const bars = new StreamInput({
    name: "bars",
    topic: "t",
    symbols: "*",
    interval: "1m",
    period: 1,
    schema: { close: "f64" },
  });
  const [stream] = buildGraph([bars.declaration]).nodes;
  const log = new LatencyLog({ field: "sent", unit: "ms", skip: 0 });
  expect(() => log.probeOf(stream!)).toThrow('Cannot measure latency: "bars" has no field "sent"');
});
