import { expect, test } from "bun:test";
import { FetchLane } from "../../../../connectors/kafka/cluster/fetch-lane.ts";
import { parseKafkaUrl } from "../../../../connectors/kafka/config.ts";
import { Channel } from "../../../../connectors/kafka/session/channel.ts";
import { QmtlError } from "../../../../runtime/index.ts";

const position = { topic: "t", partition: 3, offset: 7 };
const query = {
  positions: [position],
  isCommittedOnly: true,
  waitMsMax: 0,
  bytesMax: 1_024,
  partitionBytesMax: 1_024,
};

/** A lane to a port where nobody listens, and what it reports. */
function lane() {
  const { wire, seeds } = parseKafkaUrl("kafka://127.0.0.1:1");
  const channel = new Channel(seeds[0]!, wire);
  const failed = Promise.withResolvers<unknown>();
  const ready = Promise.withResolvers<undefined>();
  const made = new FetchLane(channel, {
    onReady: () => ready.resolve(undefined),
    onFailed: (asked) => failed.resolve(asked),
  });
  const close = (): void => channel.close(new QmtlError("TRANSPORT_CLOSED", "over"));
  return { close, failed: failed.promise, lane: made, ready: ready.promise };
}

test("a lane that rests, as a throttled one does, asks nothing before the rest is over", async () => {
  const { close, failed, lane: resting } = lane();
  resting.rest(30);
  resting.rest(1); // The longer rest holds.
  resting.ask(query);
  expect(resting.isIdle).toBe(true);
  expect(resting.restMs).toBeGreaterThan(1);
  while (resting.restMs > 0) await Bun.sleep(1);
  resting.ask(query);
  expect(resting.isIdle).toBe(false);
  expect(await failed).toEqual([position]);
  close();
});

test("after a failure it rests, and says why and for how long it has failed", async () => {
  const { close, lane: failing, ready } = lane();
  expect([failing.failure, failing.failingMs, failing.restMs]).toEqual([undefined, 0, 0]);
  failing.ask(query);
  await ready;
  expect(failing.isIdle).toBe(true);
  expect(failing.take()).toBeUndefined();
  expect(failing.failure).toMatchObject({ code: "TRANSPORT_UNAVAILABLE" });
  expect(failing.restMs).toBeGreaterThan(0);
  failing.failureTold();
  expect([failing.failure, failing.failingMs]).toEqual([undefined, 0]);
  close();
});
