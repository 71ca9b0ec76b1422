/**
 * The peers' common workload as an ordinary strategy: z-score of the close over 60 bars, a signal
 * where |z| > 2. `run.sh HOST:PORT` runs it; environment: TOPIC N OUT MODE SKIP STATE.
 */
import { Node, Runner, type Schema, Strategy, StreamInput } from "qmtl";

const bar = {
  open: "f64",
  high: "f64",
  low: "f64",
  close: "f64",
  volume: "f64",
  closeTime: "u64",
  quoteVolume: "f64",
  trades: "u32",
} as const satisfies Schema;

/** Bars of every symbol the topic has, and the signals on them. */
export class KlineWindow extends Strategy {
  setup() {
    const bars = new StreamInput({
      topic: process.env["TOPIC"] ?? "kline",
      symbols: "*",
      maxKeys: 1_024,
      interval: "1m",
      period: 60,
      schema: bar,
    });
    const signal = new Node({
      name: "signal",
      input: bars,
      schema: { z: "f64" },
      publish: { topic: process.env["OUT"] ?? "signals" },
      compute(window) {
        const z = window.column("close").zscore();
        return z > 2 || z < -2 ? { z } : undefined;
      },
    });
    this.addNodes([signal]);
  }
}

if (import.meta.main) {
  const { N = "2000000", MODE = "rate", SKIP = "0", STATE, THREADS = "1" } = process.env;
  const report = await Runner.live(KlineWindow, {
    transport: `kafka://${process.argv[2] ?? "127.0.0.1:9092"}`,
    ...(STATE === undefined ? {} : { state: STATE }),
    ...(MODE === "latency"
      ? { latency: { field: "closeTime", unit: "us" as const, skip: Number(SKIP) } }
      : {}),
    deployment: `kline-window-${process.pid}`,
    threads: Number(THREADS),
    until: { records: Number(N) },
    module: import.meta.url,
  });
  const shared = `msgs=${report.records} signals=${report.outputs}`;
  const figures =
    MODE === "latency"
      ? `p50_ms=${report.p50.toFixed(3)} p99_ms=${report.p99.toFixed(3)}`
      : `secs=${report.seconds.toFixed(4)} secs_first=${report.secondsFromFirst.toFixed(4)}`;
  console.log(`RESULT ${shared} ${figures}`);
}
