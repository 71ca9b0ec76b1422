import { expect, setDefaultTimeout, test } from "bun:test";
import { Admin } from "@platformatic/kafka";
import { ConfigResourceTypes, Kafka, logLevel } from "kafkajs";
import { openTransport } from "../../../connectors/kafka/index.ts";
import { type KafkaTransport } from "../../../connectors/kafka/transport.ts";
import { partitionOf } from "../../../runtime/index.ts";
import { failureOf } from "../../contract/failure-of.ts";
import { runTransportSuite } from "../../contract/transport.suite.ts";
import { describeWithServers, uniqueName } from "../../harness/servers.ts";
import { readAll, sendBatch } from "./kafkajs-peer.ts";
import { batchOf, patient, readPartition, recordsIn } from "./records.ts";

setDefaultTimeout(60_000);

const signal = (): AbortSignal => AbortSignal.timeout(30_000);
const numbers = (from: number, to: number): readonly string[] =>
  Array.from({ length: to - from }, (_, i) => `${from + i}`);

describeWithServers(["kafka"], "kafka: as a transport", (started) => {
  const open = async (query = ""): Promise<KafkaTransport> =>
    await openTransport(`${started().kafka.url}${query}`, signal());

  const peer = (): Kafka =>
    new Kafka({ brokers: [`127.0.0.1:${started().kafka.port}`], logLevel: logLevel.NOTHING });

  /** A transport and a topic of its own. */
  async function withTopic(
    partitions: number,
    body: (transport: KafkaTransport, topic: string) => Promise<void>,
  ): Promise<void> {
    const transport = await open();
    const topic = uniqueName("kafka");
    await transport.ensureTopic({ name: topic, partitions }, signal());
    await body(transport, topic);
    await transport.close();
  }

  runTransportSuite({
    name: "kafka",
    histories: 5,
    create: async () => ({ open, dispose: async () => undefined }),
  });

  test("what we produce, kafkajs reads; what it produces, also by gzip, we read", async () => {
    await withTopic(3, async (transport, topic) => {
      for (const partition of [0, 2]) {
        await transport.produce(topic, partition, batchOf(numbers(0, 50)), signal());
      }
      const theirs = numbers(50, 90).map((value) => ({ partition: 2, key: null, value }));
      await sendBatch(peer(), topic, { messages: theirs, gzip: true });
      const read = await readAll(peer(), topic, 140);
      expect(read.filter(({ partition }) => partition === 2).map(({ value }) => value)).toEqual([
        ...numbers(0, 90),
      ]);
      expect(read[3]).toEqual({ partition: 0, offset: 3, key: "key 3", value: "3" });
      const ours = await readPartition(transport, topic, { partition: 2, count: 90 });
      expect(ours.map(({ offset, value }) => `${offset} ${value}`)).toEqual(
        numbers(0, 90).map((value) => `${value} ${value}`),
      );
      // Compressed bytes come as they lie in the log: nothing is encoded anew.
      const position = { topic, partition: 2, offset: 50 };
      const [fetched] = await transport.fetch([position], patient, signal());
      expect(fetched!.bytes[22]! & 7).toBe(1);
    });
  });

  test("a key lands on the partition that kafkajs gives it too", async () => {
    await withTopic(7, async (transport, topic) => {
      const keys = [
        "BTCUSDT",
        "ETHUSDT",
        "1000SATSUSDT",
        "币安人生USDT",
        "",
        "a b",
        "x".repeat(33),
      ];
      await sendBatch(peer(), topic, { messages: keys.map((key) => ({ key, value: key })) });
      const records = await readAll(peer(), topic, keys.length);
      for (const { partition, value } of records) {
        const bytes = new TextEncoder().encode(value);
        // An empty key is no key for kafkajs, which then takes partitions in turn.
        if (bytes.length > 0) expect(partitionOf(bytes, 0, bytes.length, 7)).toBe(partition);
      }
      await transport.partitionsOf(topic, signal());
    });
  });

  test("ensureTopic() sets retention, unlimited by default, so that old records stay", async () => {
    const transport = await open();
    const [byDefault, limited] = [uniqueName("kafka"), uniqueName("kafka")];
    await transport.ensureTopic({ name: byDefault, partitions: 1 }, signal());
    const spec = { name: limited, partitions: 2, retentionMs: 3_600_000, minInsyncReplicas: 1 };
    await transport.ensureTopic({ ...spec, replication: 1 }, signal());
    const admin = peer().admin();
    await admin.connect();
    const { resources } = await admin.describeConfigs({
      includeSynonyms: false,
      resources: [byDefault, limited].map((name) => ({ type: ConfigResourceTypes.TOPIC, name })),
    });
    const valueOf = (index: number, name: string): string | undefined =>
      resources[index]?.configEntries.find((entry) => entry.configName === name)?.configValue;
    expect(valueOf(0, "retention.ms")).toBe("-1");
    expect(valueOf(1, "retention.ms")).toBe("3600000");
    expect(valueOf(1, "min.insync.replicas")).toBe("1");
    await admin.disconnect();
    await transport.close();
  });

  test("ensureTopic() refuses what the cluster cannot hold, by name", async () => {
    const transport = await open();
    for (const spec of [
      { name: "no spaces", partitions: 1 },
      { name: "..", partitions: 1 },
      { name: uniqueName("kafka"), partitions: 0 },
      { name: uniqueName("kafka"), partitions: 1, replication: 2 },
      { name: uniqueName("kafka"), partitions: 1, replication: 1, minInsyncReplicas: 2 },
    ]) {
      const failure = await failureOf(transport.ensureTopic(spec, signal()));
      expect(failure).toMatchObject({ code: "TRANSPORT_REJECTED" });
    }
    await transport.close();
  });

  test("several openers that make one topic at once all succeed", async () => {
    const name = uniqueName("kafka");
    const transports = await Promise.all([open(), open(), open()]);
    await Promise.all(
      transports.map(async (one) => await one.ensureTopic({ name, partitions: 4 }, signal())),
    );
    await Promise.all(transports.map(async (one) => await one.close()));
  });

  test("a batch above the topic's limit is MESSAGE_TOO_LARGE, and the next one lands", async () => {
    await withTopic(1, async (transport, topic) => {
      const large = batchOf(["x".repeat(1_100_000)]);
      const failure = await failureOf(transport.produce(topic, 0, large, signal()));
      const bytes = large.length;
      expect(failure).toMatchObject({ code: "MESSAGE_TOO_LARGE", details: { topic, bytes } });
      expect(await transport.produce(topic, 0, batchOf(["a"]), signal())).toBe(0);
    });
  });

  test("a batch above requestBytesMax is MESSAGE_TOO_LARGE without being sent", async () => {
    const transport = await open("?requestBytesMax=70000");
    const failure = failureOf(transport.produce("none", 0, batchOf(["x".repeat(5_000)]), signal()));
    expect(await failure).toMatchObject({ code: "MESSAGE_TOO_LARGE" });
    await transport.close();
  });

  test("an answer above responseBytesMax is MESSAGE_TOO_LARGE, not a loop", async () => {
    const transport = await open("?responseBytesMax=65536");
    const topic = uniqueName("kafka");
    await transport.ensureTopic({ name: topic, partitions: 1 }, signal());
    await transport.produce(topic, 0, batchOf(["x".repeat(100_000)]), signal());
    const fetching = transport.fetch([{ topic, partition: 0, offset: 0 }], patient, signal());
    expect(await failureOf(fetching)).toMatchObject({ code: "MESSAGE_TOO_LARGE" });
    await transport.close();
  });

  // Twelve and a half seconds' worth at once: the broker reads nothing more for 2.5 s.
  test("a broker that throttles us is not taken for a frozen one, and its time is kept", async () => {
    const clientId = uniqueName("slow");
    await throttle(started().kafka.port, clientId, 20_000);
    const transport = await open(`?clientId=${clientId}&stallMsMax=1000`);
    const topic = uniqueName("kafka");
    await transport.ensureTopic({ name: topic, partitions: 1 }, signal());
    expect(await transport.produce(topic, 0, batchOf(["x".repeat(250_000)]), signal())).toBe(0);
    const startedMs = performance.now();
    // A plain batch: were the silence taken for a failure, its outcome would be unknown.
    expect(await transport.produce(topic, 0, batchOf(["next"]), signal())).toBe(1);
    expect(performance.now() - startedMs).toBeGreaterThan(1_500);
    await transport.close();
  });

  test("the same idempotent batch sent twice is stored once, at one offset", async () => {
    await withTopic(1, async (transport, topic) => {
      const producer = await transport.initProducer(signal());
      const other = await transport.initProducer(signal());
      expect(other.producerId).not.toBe(producer.producerId);
      const first = batchOf(["a", "b"], { ...producer, baseSequence: 0 });
      const second = batchOf(["c"], { ...producer, baseSequence: 2 });
      expect(await transport.produce(topic, 0, first, signal())).toBe(0);
      expect(await transport.produce(topic, 0, first, signal())).toBe(0);
      expect(await transport.produce(topic, 0, second, signal())).toBe(2);
      expect(await transport.produce(topic, 0, first, signal())).toBe(0);
      expect(await transport.endsOf(topic, [0], signal())).toEqual([{ start: 0, end: 3 }]);
    });
  });

  test("a batch sent again after five others is refused, not stored twice", async () => {
    await withTopic(1, async (transport, topic) => {
      const producer = await transport.initProducer(signal());
      const batches = Array.from({ length: 8 }, (_, n) =>
        batchOf([`${n}`], { ...producer, baseSequence: n }),
      );
      for (const batch of batches) await transport.produce(topic, 0, batch, signal());
      // The broker knows the last five again.
      expect(await transport.produce(topic, 0, batches[3]!, signal())).toBe(3);
      expect(await failureOf(transport.produce(topic, 0, batches[1]!, signal()))).toMatchObject({
        code: "TRANSPORT_REJECTED",
        details: { reason: "OUT_OF_ORDER_SEQUENCE_NUMBER" },
      });
      expect(await transport.endsOf(topic, [0], signal())).toEqual([{ start: 0, end: 8 }]);
    });
  });

  test("a gap in the sequence and an old epoch are TRANSPORT_REJECTED with the reason", async () => {
    await withTopic(1, async (transport, topic) => {
      const producer = await transport.initProducer(signal());
      const send = async (sequence: number, epoch: number): Promise<unknown> => {
        const batch = batchOf(["x"], { ...producer, epoch, baseSequence: sequence });
        return await transport.produce(topic, 0, batch, signal());
      };
      await send(0, 1);
      expect(await failureOf(send(5, 1))).toMatchObject({
        code: "TRANSPORT_REJECTED",
        details: { reason: "OUT_OF_ORDER_SEQUENCE_NUMBER" },
      });
      expect(await failureOf(send(1, 0))).toMatchObject({
        code: "TRANSPORT_REJECTED",
        details: { reason: "INVALID_PRODUCER_EPOCH" },
      });
      await send(1, 1);
    });
  });

  test("batches of many partitions and topics land each in its own", async () => {
    await withTopic(16, async (transport, one) => {
      const two = uniqueName("kafka");
      await transport.ensureTopic({ name: two, partitions: 16 }, signal());
      const all = [one, two].flatMap((topic) =>
        numbers(0, 16).map((name) => ({ topic, partition: Number(name) })),
      );
      const stop = signal();
      await Promise.all(
        all.flatMap(({ topic, partition }) =>
          [0, 1, 2].map(async (n) => {
            const batch = batchOf([`${topic} ${partition} ${n}`]);
            expect(await transport.produce(topic, partition, batch, stop)).toBe(n);
          }),
        ),
      );
      const next = new Map(all.map((place) => [`${place.topic} ${place.partition}`, 0]));
      while ([...next.values()].some((offset) => offset < 3)) {
        const positions = all.map((place) => {
          const offset = next.get(`${place.topic} ${place.partition}`)!;
          return { ...place, offset };
        });
        for (const fetched of await transport.fetch(positions, patient, stop)) {
          const place = `${fetched.topic} ${fetched.partition}`;
          const records = recordsIn(fetched).filter(({ offset }) => offset >= next.get(place)!);
          for (const { offset, value } of records) expect(value).toBe(`${place} ${offset}`);
          next.set(place, fetched.nextOffset);
        }
      }
    });
  });

  test("aborted transactions are named to a committed reader, open ones held back", async () => {
    await withTopic(1, async (transport, topic) => {
      const producer = peer().producer({
        transactionalId: uniqueName("tx"),
        maxInFlightRequests: 1,
        idempotent: true,
      });
      await producer.connect();
      const send = async (value: string, end: "commit" | "abort"): Promise<void> => {
        const transaction = await producer.transaction();
        await transaction.send({ topic, messages: [{ value }] });
        await transaction[end]();
      };
      await send("good", "commit");
      await send("bad", "abort");
      await send("fine", "commit");
      const open = await producer.transaction();
      await open.send({ topic, messages: [{ value: "open" }] });
      await transport.produce(topic, 0, batchOf(["plain"]), signal());
      const read = await readPartition(transport, topic, { partition: 0, count: 2 });
      expect(read.map(({ value }) => value)).toEqual(["good", "fine"]);
      const position = { topic, partition: 0, offset: 0 };
      const [fetched] = await transport.fetch([position], patient, signal());
      expect(fetched!.abortedTransactions).toMatchObject([{ firstOffset: 2 }]);
      expect(fetched!.stableEnd).toBe(6);
      await open.commit();
      const rest = await readPartition(transport, topic, { partition: 0, from: 6, count: 2 });
      expect(rest.map(({ value }) => value)).toEqual(["open", "plain"]);
      await producer.disconnect();

      const uncommitted = await openTransport(
        `${started().kafka.url}?isolation=uncommitted`,
        signal(),
      );
      const [all] = await uncommitted.fetch([position], patient, signal());
      expect(all!.abortedTransactions).toBeUndefined();
      await uncommitted.close();
    });
  });

  test("a seek is answered at once, although the request before it still waits", async () => {
    await withTopic(2, async (transport, topic) => {
      for (const partition of [0, 1]) {
        await transport.produce(topic, partition, batchOf(numbers(0, 3)), signal());
      }
      const at = async (partition: number, offset: number, waitMsMax: number): Promise<unknown> => {
        const limits = { ...patient, waitMsMax };
        const stop = AbortSignal.timeout(30_000);
        const [fetched] = await transport.fetch([{ topic, partition, offset }], limits, stop);
        return fetched === undefined ? undefined : recordsIn(fetched).map(({ value }) => value);
      };
      const before = performance.now();
      expect(await at(0, 3, 10)).toBeUndefined();
      expect(await at(0, 0, 20_000)).toEqual(numbers(0, 3));
      const stop = new AbortController();
      const waiting = failureOf(
        transport.fetch([{ topic, partition: 1, offset: 3 }], patient, stop.signal),
      );
      stop.abort(new Error("enough"));
      await waiting;
      expect(await at(1, 1, 20_000)).toEqual(numbers(0, 3));
      expect(performance.now() - before).toBeLessThan(5_000);
    });
  });

  test("records that were deleted are OFFSET_OUT_OF_RANGE with the new start", async () => {
    await withTopic(1, async (transport, topic) => {
      await transport.produce(topic, 0, batchOf(numbers(0, 10)), signal());
      const admin = peer().admin();
      await admin.connect();
      await admin.fetchTopicOffsets(topic);
      await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: "4" }] });
      await admin.disconnect();
      const fetching = transport.fetch([{ topic, partition: 0, offset: 3 }], patient, signal());
      expect(await failureOf(fetching)).toMatchObject({
        code: "OFFSET_OUT_OF_RANGE",
        details: { offset: 3, start: 4, end: 10 },
      });
    });
  });

  test("a topic that is deleted under a reader is TOPIC_UNKNOWN", async () => {
    await withTopic(1, async (transport, topic) => {
      await transport.produce(topic, 0, batchOf(["a"]), signal());
      const waiting = failureOf(
        (async () => {
          for (;;) await transport.fetch([{ topic, partition: 0, offset: 1 }], patient, signal());
        })(),
      );
      const admin = peer().admin();
      await admin.connect();
      await admin.deleteTopics({ topics: [topic] });
      await admin.disconnect();
      expect(await waiting).toMatchObject({ code: "TOPIC_UNKNOWN" });
    });
  });
});

test("openTransport() without a broker fails at once and names it", async () => {
  const failure = await failureOf(openTransport("kafka://127.0.0.1:1", signal()));
  expect(failure).toMatchObject({
    code: "TRANSPORT_UNAVAILABLE",
    details: { broker: "127.0.0.1:1" },
  });
});

/** Lets clients of that name write so many bytes a second. */
async function throttle(port: number, clientId: string, bytesPerSecond: number): Promise<void> {
  const admin = new Admin({ clientId: "quotas", bootstrapBrokers: [`127.0.0.1:${port}`] });
  const ops = [
    { key: "producer_byte_rate" as const, value: bytesPerSecond, remove: false as const },
  ];
  const entities = [{ entityType: "client-id" as const, entityName: clientId }];
  await admin.alterClientQuotas({ entries: [{ entities, ops }] });
  await admin.close();
}
