import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { openTransport } from "../../../connectors/kafka/index.ts";
import { type KafkaCluster, startKafka } from "../../../runtime/cli/servers/index.ts";
import { runTransportSuite } from "../../contract/transport.suite.ts";
import { describeWithServers } from "../../harness/servers.ts";
import { batchOf } from "./records.ts";

setDefaultTimeout(60_000);

let cluster: KafkaCluster | undefined;

/** Kafka 3.9: one for this file, gone with the process. */
async function kafka39(): Promise<KafkaCluster> {
  return (cluster ??= await startKafka({ version: "3.9.1" }));
}

afterAll(async () => await cluster?.close());

describeWithServers(["kafka"], "kafka: as a transport over Kafka 3.9", () => {
  const open = async (): ReturnType<typeof openTransport> =>
    await openTransport((await kafka39()).url, AbortSignal.timeout(10_000));

  runTransportSuite({
    name: "kafka 3.9",
    histories: 3,
    create: async () => ({ open, dispose: async () => undefined }),
  });

  test("idempotent batches are stored once there too", async () => {
    const signal = AbortSignal.timeout(30_000);
    const transport = await open();
    const topic = `t${crypto.randomUUID()}`;
    await transport.ensureTopic({ name: topic, partitions: 1 }, signal);
    const producer = await transport.initProducer(signal);
    const batch = batchOf(["a"], { ...producer, baseSequence: 0 });
    expect(await transport.produce(topic, 0, batch, signal)).toBe(0);
    expect(await transport.produce(topic, 0, batch, signal)).toBe(0);
    expect(await transport.endsOf(topic, [0], signal)).toEqual([{ start: 0, end: 1 }]);
    await transport.close();
  });
});
