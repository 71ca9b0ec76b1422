/**
 * Goal: a broker that is killed or frozen in the middle of a run costs time and nothing else.
 * Method: a broker of its own; it goes away while outputs are on their way, comes back, and the
 * output topic is compared, record by record, with what a plain loop makes of the input.
 * `QMTL_SOAK=1`: frozen for longer than any time-out of ours as well.
 */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { openTransport } from "../../connectors/kafka/index.ts";
import { type KafkaCluster, startKafka } from "../../runtime/cli/servers/index.ts";
import { Runner } from "../../runtime/index.ts";
import { describeNeeding, firstStartMsMax, uniqueName } from "../harness/servers.ts";
import { barsOf, keyNames, LiveLog, meansOf } from "./live-log.ts";
import { Means } from "./live-strategies.ts";

setDefaultTimeout(150_000);

const module = new URL("live-strategies.ts", import.meta.url).href;
const isSoak = process.env["QMTL_SOAK"] === "1";

describeNeeding(["kafka"], "a broker that goes away in mid-run", () => {
  let kafka: KafkaCluster | undefined;
  beforeAll(async () => {
    kafka = await startKafka();
  }, firstStartMsMax);
  afterAll(async () => await kafka?.close());

  /** Runs while `outage` happens, and compares. */
  async function survives(outage: (broker: KafkaCluster) => Promise<void>): Promise<void> {
    const broker = kafka!;
    const transport = await openTransport(broker.url, AbortSignal.timeout(140_000));
    try {
      const log = new LiveLog(transport, 2);
      const [input, output] = [uniqueName("input"), uniqueName("means")];
      await log.make(input);
      const keys = keyNames(20);
      await log.put(input, barsOf(keys, 2_000), 100);
      const stop = new AbortController();
      const running = Runner.live(Means, {
        transport: broker.url,
        symbols: [input, output],
        module,
        threads: 2,
        // Small fetches: the run is still under way when the broker goes.
        pace: { partitionBytesMax: 4_096, batchBytesMax: 16_384 },
        signal: stop.signal,
      });
      // Both threads have begun, neither is near its end.
      for (const partition of [0, 1]) {
        while ((await log.endOf(output, partition).catch(() => 0)) < 100) await Bun.sleep(1);
      }
      await outage(broker);
      await log.put(input, barsOf(keys, 100, 2_000), 100);
      await log.until(output, 20 * 2_097, 60_000);
      stop.abort();
      expect(await running).toMatchObject({ crashes: 0, records: 42_000, outputs: 20 * 2_097 });
      for (const [partition, own] of (await log.readAll(input)).entries()) {
        expect(await log.read(output, partition)).toEqual(meansOf(own));
      }
    } finally {
      await transport.close();
    }
  }

  async function freeze(broker: KafkaCluster, ms: number): Promise<void> {
    broker.freeze();
    await Bun.sleep(ms);
    broker.thaw();
  }

  test("killed and started again: no output lost or doubled", async () => {
    await survives(async (broker) => {
      await broker.kill9();
      await broker.restart();
    });
  });

  test("frozen for 3 s: no output lost or doubled", async () => {
    await survives(async (broker) => await freeze(broker, 3_000));
  });

  test.skipIf(!isSoak)("frozen for 15 s and for 40 s: no output lost or doubled", async () => {
    for (const ms of [15_000, 40_000]) await survives(async (broker) => await freeze(broker, ms));
  });

  test.skipIf(!isSoak)("gone for 35 s: no output lost or doubled", async () => {
    await survives(async (broker) => {
      await broker.kill9();
      await Bun.sleep(35_000);
      await broker.restart();
    });
  });
});
