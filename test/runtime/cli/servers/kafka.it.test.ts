import { expect, test } from "bun:test";
import { Kafka, logLevel, type SASLOptions } from "kafkajs";
import {
  freePort,
  type KafkaCluster,
  type KafkaListener,
  kafkaPassword,
  kafkaUser,
  startKafka,
} from "../../../../runtime/cli/servers/index.ts";
import { describeWithServers, uniqueName } from "../../../harness/servers.ts";
import { TcpProxy } from "../../../harness/tcp-proxy.ts";

/** A new object each time: kafkajs writes its authenticator into the one it is given. */
function saslOf(listener: KafkaListener, password: string): SASLOptions | undefined {
  const user = { username: kafkaUser, password };
  if (listener === "saslPlain") return { mechanism: "plain", ...user };
  if (listener === "saslScram") return { mechanism: "scram-sha-512", ...user };
  if (listener === "saslScramTls") return { mechanism: "scram-sha-256", ...user };
  return undefined;
}

function clientOf(
  cluster: KafkaCluster,
  listener: KafkaListener,
  { password = kafkaPassword, only }: { password?: string; only?: readonly number[] } = {},
): Kafka {
  const sasl = saslOf(listener, password);
  const addresses = cluster.addresses(listener);
  const isTls = listener === "tls" || listener === "saslScramTls";
  return new Kafka({
    brokers: addresses.filter((_, i) => only?.includes(i) ?? true),
    logLevel: logLevel.NOTHING,
    retry: { retries: 3 },
    ...(isTls ? { ssl: { ca: [cluster.certificatePem ?? ""] } } : {}),
    ...(sasl === undefined ? {} : { sasl }),
  });
}

/** Produces `count` records to a new topic and returns how many the broker then has. */
async function produce(kafka: Kafka, topic: string, count: number): Promise<number> {
  const admin = kafka.admin();
  const producer = kafka.producer();
  try {
    await admin.connect();
    await admin.createTopics({ topics: [{ topic }], waitForLeaders: true });
    await producer.connect();
    const messages = Array.from({ length: count }, (_, i) => ({ value: String(i) }));
    await producer.send({ topic, messages, acks: -1 });
    const [partition] = await admin.fetchTopicOffsets(topic);
    return Number(partition?.high);
  } finally {
    await producer.disconnect();
    await admin.disconnect();
  }
}

/** Brokers the cluster counts in; 0 if nobody could be asked. */
async function brokerCountOf(kafka: Kafka): Promise<number> {
  const admin = kafka.admin();
  try {
    await admin.connect();
    return (await admin.describeCluster()).brokers.length;
  } catch {
    return 0;
  } finally {
    await admin.disconnect();
  }
}

describeWithServers(["kafka"], "kafka", (started) => {
  test("the shared broker takes records with acks=all", async () => {
    expect(await produce(clientOf(started().kafka, "plaintext"), uniqueName("topic"), 3)).toBe(3);
  });

  test("startKafka() serves TLS, SASL PLAIN and SCRAM, and refuses a wrong password", async () => {
    const listeners = ["tls", "saslPlain", "saslScram", "saslScramTls"] as const;
    await using cluster = await startKafka({ listeners });
    for (const listener of listeners) {
      expect(await produce(clientOf(cluster, listener), `topic-${listener}`, 2)).toBe(2);
    }
    const admin = clientOf(cluster, "saslScram", { password: "wrong" }).admin();
    const refusal = await admin.listTopics().catch((error: unknown) => String(error));
    expect(refusal).toContain("Authentication failed");
    await admin.disconnect();
  }, 30_000);

  test("startKafka() keeps acknowledged records over kill -9 and restart", async () => {
    await using cluster = await startKafka();
    expect(await produce(clientOf(cluster, "plaintext"), "topic", 5)).toBe(5);
    await cluster.kill9();
    await cluster.restart();
    const admin = clientOf(cluster, "plaintext").admin();
    await admin.connect();
    const [partition] = await admin.fetchTopicOffsets("topic");
    expect(Number(partition?.high)).toBe(5);
    await admin.disconnect();
  }, 30_000);

  test("of three brokers one may be killed and acks=all still goes on", async () => {
    await using cluster = await startKafka({ brokerCount: 3 });
    expect(cluster.brokers).toHaveLength(3);
    await cluster.brokers[2]!.kill9();
    // The others count it in until its session is over: wait for what they say.
    const alive = clientOf(cluster, "plaintext", { only: [0, 1] });
    while ((await brokerCountOf(alive)) !== 2) await Bun.sleep(50);
    expect(await produce(alive, "topic", 1)).toBe(1);
  }, 60_000);

  test("advertisedPort sends every client through a proxy", async () => {
    const port = await freePort();
    await using proxy = await TcpProxy.start(port);
    await using cluster = await startKafka({ port, advertisedPort: proxy.port });
    // The client knocks at the broker itself, and is told to use the proxy.
    expect(await produce(clientOf(cluster, "plaintext"), "topic", 2)).toBe(2);
    expect(proxy.counts.requestBytes).toBeGreaterThan(0);
  }, 30_000);

  test("startKafka() starts 3.9.1 too", async () => {
    await using cluster = await startKafka({ version: "3.9.1" });
    expect(await produce(clientOf(cluster, "plaintext"), "topic", 1)).toBe(1);
  }, 60_000);
});
