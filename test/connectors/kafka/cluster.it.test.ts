import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { openTransport } from "../../../connectors/kafka/index.ts";
import { type KafkaCluster, startKafka } from "../../../runtime/cli/servers/index.ts";
import { describeWithServers } from "../../harness/servers.ts";
import { batchOf, patient, recordsIn } from "./records.ts";

setDefaultTimeout(180_000);

const signal = (): AbortSignal => AbortSignal.timeout(150_000);
const partitions = [0, 1, 2, 3, 4, 5];
const perPartition = 30;

let cluster: Promise<KafkaCluster> | undefined;

afterAll(async () => {
  await (await cluster)?.close();
});

// Goal: F3 and P2 while leaders change. Method: idempotent batches one by one to six partitions of
// three brokers, read at the same time; brokers end in the middle, one after the other.
describeWithServers(["kafka"], "kafka: three brokers", () => {
  test("leaders that are killed and frozen: each record once, in order, in each partition", async () => {
    const { brokers, url } = await (cluster ??= startKafka({ brokerCount: 3 }));
    const transport = await openTransport(`${url}?stallMsMax=1500&connectMsMax=1500`, signal());
    const topic = `t${crypto.randomUUID()}`;
    const spec = { name: topic, partitions: partitions.length, replication: 3 };
    await transport.ensureTopic({ ...spec, minInsyncReplicas: 2 }, signal());
    const producer = await transport.initProducer(signal());
    const over = Promise.withResolvers<undefined>();
    let sent = 0;
    const producing = partitions.map(async (partition) => {
      for (let n = 0; n < perPartition; n += 1) {
        // The last one goes out when all troubles are over.
        if (n === perPartition - 1) await over.promise;
        const batch = batchOf([`${partition} ${n}`], { ...producer, baseSequence: n });
        expect(await transport.produce(topic, partition, batch, signal())).toBe(n);
        sent += 1;
      }
    });
    const read = partitions.map((): string[] => []);
    const reading = (async () => {
      while (read.some((values) => values.length < perPartition)) {
        const positions = partitions.map((partition) => {
          return { topic, partition, offset: read[partition]!.length };
        });
        for (const fetched of await transport.fetch(positions, patient, signal())) {
          const values = read[fetched.partition]!;
          const wanted = values.length;
          for (const record of recordsIn(fetched)) {
            if (record.offset >= wanted) values.push(record.value);
          }
        }
      }
    })();
    await until(() => sent >= 12);
    await brokers[0]!.kill9();
    const enough = Math.min(sent + 30, partitions.length * (perPartition - 1));
    await until(() => sent >= enough);
    await brokers[0]!.restart();
    brokers[1]!.freeze();
    await Bun.sleep(2_500);
    brokers[1]!.thaw();
    over.resolve(undefined);
    await Promise.all(producing);
    await reading;
    for (const partition of partitions) {
      expect(read[partition]).toEqual(
        Array.from({ length: perPartition }, (_, n) => `${partition} ${n}`),
      );
    }
    const ends = await transport.endsOf(topic, partitions, signal());
    expect(ends).toEqual(partitions.map(() => ({ start: 0, end: perPartition })));
    await transport.close();
  });
});

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await Bun.sleep(10);
}
