import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { cp, mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { cached } from "../artifacts/cache.ts";
import { requireJava } from "../artifacts/java.ts";
import { runTool } from "../artifacts/run-tool.ts";
import { kafkaPassword, kafkaUser } from "./kafka-listeners.ts";

/** Kafka's own kind of ID: 16 bytes as base64url; one that starts with "-" reads as a flag. */
export function newKafkaId(): string {
  for (;;) {
    const id = randomBytes(16).toString("base64url");
    if (!id.startsWith("-")) return id;
  }
}

/** The program and what it runs on. */
export interface KafkaJars {
  readonly version: string;
  readonly classPath: string;
}

/** What a broker's log directory must hold before its first start. */
export interface StorageSpec {
  readonly jars: KafkaJars;
  readonly logDirectory: string;
  readonly nodeId: number;
  readonly clusterId: string;
}

/**
 * Formats the log directory, unless it is already. Kafka's own tool runs once per version, on a
 * template that also holds the SCRAM user; a broker gets a copy with IDs of its own, which saves
 * a JVM run per broker.
 */
export async function formatStorage(spec: StorageSpec): Promise<void> {
  const { jars, logDirectory, nodeId, clusterId } = spec;
  const meta = join(logDirectory, "meta.properties");
  if (existsSync(meta)) return;
  const template = await cached(`kafka-${jars.version}-storage`, async (scratch) => {
    await makeTemplate(scratch, jars.classPath);
  });
  await mkdir(logDirectory, { recursive: true });
  await cp(template, logDirectory, { recursive: true });
  const lines = [
    "version=1",
    `cluster.id=${clusterId}`,
    `node.id=${nodeId}`,
    `directory.id=${newKafkaId()}`,
  ];
  await writeFile(meta, `${lines.join("\n")}\n`);
}

async function makeTemplate(directory: string, classPath: string): Promise<void> {
  const config = join(directory, "server.properties");
  const lines = [
    "process.roles=broker,controller",
    "node.id=1",
    "controller.quorum.voters=1@127.0.0.1:9093",
    "listeners=PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093",
    "controller.listener.names=CONTROLLER",
    `log.dirs=${directory}`,
  ];
  await writeFile(config, `${lines.join("\n")}\n`);
  const users = ["SCRAM-SHA-256", "SCRAM-SHA-512"].flatMap((mechanism) => [
    "--add-scram",
    `${mechanism}=[name=${kafkaUser},password=${kafkaPassword}]`,
  ]);
  const tool = ["-cp", classPath, "kafka.tools.StorageTool", "format", "-t", newKafkaId()];
  await runTool([requireJava().path, ...tool, "-c", config, ...users], {
    action: "format Kafka's storage",
  });
  await rm(config);
  await rm(join(directory, "meta.properties"));
}
