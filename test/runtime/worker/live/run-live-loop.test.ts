import { expect, test } from "bun:test";
import { join } from "node:path";
import { connectors } from "../../../../connectors/index.ts";
import { openState, openTransport } from "../../../../connectors/memory/index.ts";
import { type StateStore } from "../../../../runtime/index.ts";
import { type LiveOrder } from "../../../../runtime/worker/live/live-order.ts";
import { runLiveLoop } from "../../../../runtime/worker/live/run-live-loop.ts";
import { scratchDirectory } from "../../../harness/scratch.ts";
import { barsOf, LiveLog, meansOf } from "../../../integrity/live-log.ts";
import { Means } from "../../../integrity/live-strategies.ts";
import { liveOrderOf } from "./live-order-of.ts";

const directory = scratchDirectory();
const signal = AbortSignal.timeout(20_000);
const bars = barsOf(["A"], 20);

/** What two runs publish: one over ten bars, the next until it has taken `recordsMax` of twenty. */
async function twice(recordsMax: number, more: Partial<LiveOrder> = {}, kept?: StateStore) {
  const transport = await openTransport("memory:", signal);
  const log = new LiveLog(transport, 1);
  const means = kept === undefined ? { transport } : { transport, kept };
  const run = async (own: Partial<LiveOrder>): Promise<void> => {
    const { order, graph } = await liveOrderOf(Means, ["in", "out"], log, { ...more, ...own });
    await runLiveLoop(order, graph, means, signal);
  };
  await log.make("in");
  await log.put("in", bars.slice(0, 10));
  await run({ run: "1", recordsMax: 10 });
  await log.put("in", bars.slice(10));
  await run({ run: "2", recordsMax });
  const published = await log.read("out", 0);
  await transport.close();
  return published;
}

test("a run goes on with the state of the store that its order names", async () => {
  const state = connectors.refOf("state", `sqlite:${join(directory, "state.db")}`);
  expect(await twice(10, { state })).toEqual(meansOf(bars));
});

test("a run goes on with the state that is kept for it, if its order names no store", async () => {
  const kept = await openState("memory:", signal);
  expect(await twice(10, {}, kept)).toEqual(meansOf(bars));
  await kept.close();
});

test("a run without any state begins again", async () => {
  const first = meansOf(bars.slice(0, 10));
  expect(await twice(20)).toEqual([...first, ...meansOf(bars)]);
});
