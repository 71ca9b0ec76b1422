import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { classDataFlags } from "../artifacts/class-data.ts";
import { classPathOf, requireJava } from "../artifacts/java.ts";
import { jarDirectory } from "../artifacts/maven.ts";
import { openDataDirectory } from "../process/data-directory.ts";
import { freePort } from "../process/free-port.ts";
import { javaCommand } from "../process/java-command.ts";
import { ManagedServer, type StartOptions } from "../process/managed-server.ts";
import { isListening } from "../process/probe.ts";
import { KafkaCluster } from "./kafka-cluster.ts";
import {
  type KafkaListener,
  kafkaCertificate,
  protocolOf,
  securitySettings,
} from "./kafka-listeners.ts";
import { formatStorage, type KafkaJars, newKafkaId } from "./kafka-storage.ts";

/** Pinned; compose.yaml has the first. */
export const kafkaVersions = ["4.4.0", "3.9.1"] as const;

/** How to start Kafka. `port` is the first broker's PLAINTEXT port. */
export interface KafkaOptions extends StartOptions {
  /** Default 4.4.0. */
  readonly version?: (typeof kafkaVersions)[number];
  /** Default 1. Each broker is a controller too, so one of 3 may die. */
  readonly brokerCount?: 1 | 3;
  /** Beside `plaintext`, which the brokers themselves use. */
  readonly listeners?: readonly KafkaListener[];
  /** What clients of `plaintext` are told to connect to, for a proxy in between; one broker only. */
  readonly advertisedPort?: number;
  /** Further lines of server.properties. */
  readonly settings?: Readonly<Record<string, string>>;
}

interface BrokerSpec {
  readonly nodeId: number;
  readonly controllerPort: number;
  readonly ports: ReadonlyMap<KafkaListener, number>;
}

interface ClusterSpec {
  readonly jars: KafkaJars;
  readonly flags: readonly string[];
  readonly options: KafkaOptions;
}

/**
 * Kafka in KRaft mode from Maven; url `kafka://127.0.0.1:PORT[,127.0.0.1:PORT…]` (PLAINTEXT).
 * Ready when each broker has registered with the quorum and accepts connections.
 *
 * @throws QmtlError SERVER_START_FAILED if it cannot be had or does not start.
 */
export async function startKafka(options: KafkaOptions = {}): Promise<KafkaCluster> {
  const version = options.version ?? kafkaVersions[0];
  const name = `kafka-${version}`;
  const directory = await jarDirectory(name, artifactsOf(version));
  const jars = { version, classPath: await classPathOf(directory) };
  const flags = await classDataFlags(name, requireJava(), async (flag, scratch) => {
    const dataDir = join(scratch, "data");
    const cluster = await launch({ jars, flags: [flag], options: { dataDir } });
    await cluster.stop();
    await rm(dataDir, { recursive: true });
  });
  return await launch({ jars, flags, options });
}

function artifactsOf(version: string): Parameters<typeof jarDirectory>[1] {
  return [
    {
      groupId: "org.apache.kafka",
      artifactId: "kafka_2.13",
      version,
      // Named by 4.4.0 but never published; no broker needs it.
      exclusions: [{ groupId: "org.apache.kafka", artifactId: "kafka-tools-api" }],
    },
    { groupId: "org.slf4j", artifactId: "slf4j-simple", version: "1.7.36" },
  ];
}

async function launch(spec: ClusterSpec): Promise<KafkaCluster> {
  const { options } = spec;
  const listeners = [...new Set<KafkaListener>(["plaintext", ...(options.listeners ?? [])])];
  const brokers: BrokerSpec[] = [];
  for (let nodeId = 1; nodeId <= (options.brokerCount ?? 1); nodeId += 1) {
    const ports = new Map<KafkaListener, number>();
    for (const listener of listeners) {
      const isFirst = nodeId === 1 && listener === "plaintext";
      ports.set(listener, (isFirst ? options.port : undefined) ?? (await freePort()));
    }
    brokers.push({ nodeId, controllerPort: await freePort(), ports });
  }
  const data = openDataDirectory("kafka", options.dataDir);
  const clusterId = newKafkaId();
  const servers = await Promise.all(
    brokers.map(async (broker) => await prepareBroker(spec, broker, { brokers, clusterId, data })),
  );
  const isTls = listeners.includes("tls") || listeners.includes("saslScramTls");
  const cluster = new KafkaCluster({
    servers,
    data,
    certificatePem: isTls ? (await kafkaCertificate()).pem : undefined,
    addresses: new Map(
      listeners.map((listener) => [
        listener,
        brokers.map(({ ports }) => `127.0.0.1:${ports.get(listener) ?? 0}`),
      ]),
    ),
  });
  return await cluster.start();
}

/** What the brokers of one cluster share. */
interface Shared {
  readonly brokers: readonly BrokerSpec[];
  readonly clusterId: string;
  readonly data: { readonly path: string; readonly isTemporary: boolean };
}

async function prepareBroker(
  { jars, flags, options }: ClusterSpec,
  broker: BrokerSpec,
  { brokers, clusterId, data }: Shared,
): Promise<ManagedServer> {
  const { nodeId, ports } = broker;
  const path = join(data.path, `broker-${nodeId}`);
  const logDirectory = join(path, "log");
  await mkdir(path, { recursive: true });
  await formatStorage({ jars, logDirectory, nodeId, clusterId });
  const settings = {
    ...(await settingsOf(broker, brokers, options.advertisedPort)),
    "log.dirs": logDirectory,
  };
  const config = join(path, "server.properties");
  const lines = Object.entries({ ...settings, ...options.settings });
  await writeFile(config, lines.map(([key, value]) => `${key}=${value}\n`).join(""));
  const port = ports.get("plaintext") ?? 0;
  const purpose = options.purpose ?? "test";
  return new ManagedServer({
    name: `kafka-${nodeId}`,
    url: `kafka://127.0.0.1:${port}`,
    port,
    // A broker that is closed removes nothing; the directory is the cluster's.
    data: { path, isTemporary: false },
    ...(data.isTemporary ? { removeAtEnd: data.path } : {}),
    options,
    command: javaCommand(
      {
        javaPath: requireJava().path,
        classPath: jars.classPath,
        mainClass: "kafka.Kafka",
        heapMbMax: purpose === "test" ? 256 : 512,
        flags: [...logFlags, ...flags],
        arguments: [config],
      },
      purpose,
    ),
    environment: {},
    readyMsMax: 90_000,
    isReady: async (log) => log.includes("Kafka Server started") && (await isListening(port)),
  });
}

const logFlags = [
  "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
  "-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info",
  "-Dorg.slf4j.simpleLogger.showDateTime=true",
];

async function settingsOf(
  { nodeId, controllerPort, ports }: BrokerSpec,
  brokers: readonly BrokerSpec[],
  advertisedPort: number | undefined,
): Promise<Readonly<Record<string, string>>> {
  const count = String(brokers.length);
  const inSync = brokers.length === 1 ? "1" : "2";
  const addresses = [...ports].map(([name, port]) => addressOf(name, port));
  const advertised = [...ports].map(([name, port]) =>
    addressOf(name, name === "plaintext" ? (advertisedPort ?? port) : port),
  );
  const protocols = [...ports.keys()].map((name) => `${name.toUpperCase()}:${protocolOf[name]}`);
  const voters = brokers.map((one) => `${one.nodeId}@127.0.0.1:${one.controllerPort}`);
  return {
    "process.roles": "broker,controller",
    "node.id": String(nodeId),
    "controller.quorum.voters": voters.join(","),
    listeners: [...addresses, `CONTROLLER://127.0.0.1:${controllerPort}`].join(","),
    "advertised.listeners": advertised.join(","),
    "listener.security.protocol.map": [...protocols, "CONTROLLER:PLAINTEXT"].join(","),
    "inter.broker.listener.name": "PLAINTEXT",
    "controller.listener.names": "CONTROLLER",
    "default.replication.factor": count,
    "min.insync.replicas": inSync,
    "auto.create.topics.enable": "false",
    // A killed broker may come back once its old session is over: 3 s instead of 9.
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "750",
    // The internal topics: small, and as safe as this number of brokers can make them.
    "offsets.topic.num.partitions": "4",
    "offsets.topic.replication.factor": count,
    "transaction.state.log.num.partitions": "4",
    "transaction.state.log.replication.factor": count,
    "transaction.state.log.min.isr": inSync,
    "group.initial.rebalance.delay.ms": "0",
    "num.network.threads": "2",
    "num.io.threads": "2",
    "log.cleaner.dedupe.buffer.size": "4194304",
    ...(await securitySettings([...ports.keys()])),
  };
}

function addressOf(listener: KafkaListener, port: number): string {
  return `${listener.toUpperCase()}://127.0.0.1:${port}`;
}
