import { expect, test } from "bun:test";
import { openTransport } from "../../../../../connectors/memory/index.ts";
import { paceDefaults } from "../../../../../runtime/engine/live/live-limits.ts";
import { ForwardSenders } from "../../../../../runtime/worker/live/repartition/forward-senders.ts";

const signal = AbortSignal.timeout(10_000);
const key = new TextEncoder().encode("K");

test("all tasks of a thread share a way, and its barrier is behind what all of them have sealed", async () => {
  const transport = await openTransport("memory:", signal);
  try {
    await transport.ensureTopic({ name: "between", partitions: 2 }, signal);
    const senders = new ForwardSenders(transport, undefined, paceDefaults);
    expect(senders.of("between", 1)).toBe(senders.of("between", 1));
    for (const partition of [0, 1, 1]) {
      const sender = senders.of("between", partition);
      sender.view.setUint8(sender.reserve(0, key, 1, signal), partition);
    }
    senders.seal(signal);
    await senders.barrier();
    const ends = await transport.endsOf("between", [0, 1], signal);
    expect(ends.map(({ end }) => end)).toEqual([1, 2]);
    await senders.room();
    await senders.idle();
  } finally {
    await transport.close();
  }
});
