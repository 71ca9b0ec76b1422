/**
 * The same work with more than 5 µs of compute a record: beside the z-score, how steadily the
 * window rises or falls (Kendall's tau over all 1,770 pairs of its closes). The signals are the
 * same. What a second thread is worth shows here; in the light form the broker is the limit.
 */
import { Node, Strategy, StreamInput } from "qmtl";
import { bar } from "./bar.ts";
import { runPeer } from "./protocol.ts";

/** Bars of every symbol the topic has, and the signals on them with their trend. */
export class HeavyWindow extends Strategy {
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
      schema: { z: "f64", trend: "f64" },
      publish: { topic: process.env["OUT"] ?? "signals" },
      compute(window) {
        const close = window.column("close");
        let rising = 0;
        for (let i = 1; i < 60; i += 1) {
          const later = close.at(i);
          for (let j = 0; j < i; j += 1) {
            const earlier = close.at(j);
            rising += later > earlier ? 1 : later < earlier ? -1 : 0;
          }
        }
        const z = close.zscore();
        return z > 2 || z < -2 ? { z, trend: rising / 1_770 } : undefined;
      },
    });
    this.addNodes([signal]);
  }
}

if (import.meta.main) await runPeer(HeavyWindow, import.meta.url);
