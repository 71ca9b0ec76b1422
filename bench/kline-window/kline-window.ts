/**
 * The peers' common workload as an ordinary strategy: z-score of the close over 60 bars, a signal
 * where |z| > 2. `run.sh HOST:PORT` runs it; environment: TOPIC N OUT MODE SKIP STATE THREADS.
 */
import { Node, Strategy, StreamInput } from "qmtl";
import { bar } from "./bar.ts";
import { runPeer } from "./protocol.ts";

/** Bars of every symbol the topic has, and the signals on them. */
export class KlineWindow extends Strategy {
  setup() {
    const bars = new StreamInput({
      topic: process.env["TOPIC"] ?? "kline",
      symbols: "*",
      maxKeys: 100,
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

if (import.meta.main) await runPeer(KlineWindow, import.meta.url);
