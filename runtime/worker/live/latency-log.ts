import { QmtlError } from "../../core/errors.ts";
import { type GraphNode } from "../../graph/graph.ts";
import { type StreamLoop } from "../task/stream-loop.ts";
import { type LatencyProbe } from "./live-order.ts";

/** Latencies kept, at most: later ones are not measured. */
const latenciesMax = 10_000_000;

/** How long after its producer's stamp each record had run through the plan, ms. */
export class LatencyLog {
  readonly probe: LatencyProbe;
  #values = new Float64Array(1 << 16);
  #seen = 0;
  #count = 0;

  constructor(probe: LatencyProbe) {
    this.probe = probe;
  }

  /**
   * What notes the latency of each record of `stream`.
   *
   * @throws QmtlError FIELD_UNKNOWN if it has no such field.
   */
  probeOf(stream: GraphNode): (loop: StreamLoop, at: number) => void {
    const column = Object.keys(stream.schema).indexOf(this.probe.field) + 1;
    if (column === 0) {
      throw new QmtlError(
        "FIELD_UNKNOWN",
        `Cannot measure latency: "${stream.name}" has no field "${this.probe.field}"`,
      );
    }
    return (loop, at) => this.add(loop.store.values[at + column * loop.store.stride]!);
  }

  /** Notes a record whose stamp is `stamp`, in the probe's unit. */
  add(stamp: number): void {
    this.#seen += 1;
    if (this.#seen <= this.probe.skip || this.#count === latenciesMax) return;
    if (this.#count === this.#values.length) {
      const grown = new Float64Array(this.#values.length * 2);
      grown.set(this.#values);
      this.#values = grown;
    }
    const nowMs = performance.timeOrigin + performance.now();
    this.#values[this.#count] = nowMs - (this.probe.unit === "us" ? stamp / 1_000 : stamp);
    this.#count += 1;
  }

  /** All of them, in the order of the records. */
  values(): Float64Array {
    return this.#values.slice(0, this.#count);
  }
}
