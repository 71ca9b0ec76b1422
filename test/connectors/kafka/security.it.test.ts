import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openTransport } from "../../../connectors/kafka/index.ts";
import {
  type KafkaCluster,
  type KafkaListener,
  kafkaPassword,
  kafkaUser,
  startKafka,
} from "../../../runtime/cli/servers/index.ts";
import { failureOf } from "../../contract/failure-of.ts";
import { describeWithServers } from "../../harness/servers.ts";
import { batchOf, readPartition } from "./records.ts";

setDefaultTimeout(60_000);

const signal = (): AbortSignal => AbortSignal.timeout(20_000);
const directory = mkdtempSync(join(tmpdir(), "qmtl-kafka-"));
const caPath = join(directory, "ca.pem");
const user = `${kafkaUser}:${kafkaPassword}@`;
const listeners = ["tls", "saslPlain", "saslScram", "saslScramTls"] as const;

let cluster: Promise<KafkaCluster> | undefined;

/** A broker with every kind of listener: one for this file. */
async function secured(): Promise<KafkaCluster> {
  cluster ??= startKafka({ listeners });
  const started = await cluster;
  writeFileSync(caPath, started.certificatePem ?? "");
  return started;
}

async function urlOf(listener: KafkaListener, query: string, login = ""): Promise<string> {
  return `kafka://${login}${(await secured()).addresses(listener).join(",")}?${query}`;
}

afterAll(async () => {
  rmSync(directory, { recursive: true });
  await (await cluster)?.close();
});

describeWithServers(["kafka"], "kafka: TLS and SASL", () => {
  const trusted = `tls=true&tlsCa=${encodeURIComponent(caPath)}`;

  const ways: readonly (readonly [KafkaListener, string, string])[] = [
    ["tls", trusted, ""],
    ["saslPlain", "sasl=plain", user],
    ["saslScram", "sasl=scram-sha-256", user],
    ["saslScram", "sasl=scram-sha-512", user],
    ["saslScramTls", `sasl=scram-sha-512&${trusted}`, user],
  ];
  for (const [listener, query, login] of ways) {
    const name = `${listener} ${query.split("&")[0]}`;
    test(`${name}: topics, records and offsets go through`, async () => {
      const transport = await openTransport(await urlOf(listener, query, login), signal());
      const topic = `t${crypto.randomUUID()}`;
      await transport.ensureTopic({ name: topic, partitions: 2 }, signal());
      // Larger than what one write to a socket takes.
      const values = Array.from({ length: 30 }, (_, i) => `${i}${"x".repeat(30_000)}`);
      await transport.produce(topic, 1, batchOf(values), signal());
      const read = await readPartition(transport, topic, { partition: 1, count: 30 });
      expect(read.map(({ value }) => value)).toEqual(values);
      expect(await transport.endsOf(topic, [0, 1], signal())).toEqual([
        { start: 0, end: 0 },
        { start: 0, end: 30 },
      ]);
      await transport.close();
    });
  }

  test("a certificate that nobody vouches for, or of another name, is refused", async () => {
    for (const query of ["tls=true", `${trusted}&tlsServerName=other.test`]) {
      const failure = await failureOf(openTransport(await urlOf("tls", query), signal()));
      expect(failure).toMatchObject({ code: "TRANSPORT_AUTH_FAILED" });
    }
  });

  test("a wrong password or mechanism is TRANSPORT_AUTH_FAILED, without the password", async () => {
    const wrong: readonly (readonly [KafkaListener, string, string])[] = [
      ["saslPlain", "sasl=plain", `${kafkaUser}:not-it@`],
      ["saslScram", "sasl=scram-sha-512", `${kafkaUser}:not-it@`],
      ["saslScram", "sasl=scram-sha-256", `nobody:not-it@`],
      ["saslPlain", "sasl=scram-sha-512", user],
    ];
    for (const [listener, query, login] of wrong) {
      const failure = await failureOf(openTransport(await urlOf(listener, query, login), signal()));
      expect(failure).toMatchObject({ code: "TRANSPORT_AUTH_FAILED" });
      expect((failure as Error).message).not.toContain("not-it");
    }
  });

  test("a port that does not speak as the URL says ends in an error, not a hang", async () => {
    const short = "connectMsMax=2000";
    const cases: readonly (readonly [KafkaListener, string, string])[] = [
      ["tls", short, "TRANSPORT_REJECTED"],
      ["plaintext", `${trusted}&${short}`, "TRANSPORT_UNAVAILABLE"],
      ["saslPlain", short, "TRANSPORT_UNAVAILABLE"],
    ];
    for (const [listener, query, code] of cases) {
      const failure = await failureOf(openTransport(await urlOf(listener, query), signal()));
      expect(failure).toMatchObject({ code });
    }
  });
});
