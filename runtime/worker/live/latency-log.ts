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
