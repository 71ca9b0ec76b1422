import { readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { cached } from "../artifacts/cache.ts";
import { requireJava } from "../artifacts/java.ts";
import { runTool } from "../artifacts/run-tool.ts";

/** Ways a client can connect: unprotected, TLS, SASL PLAIN, SASL SCRAM, and SCRAM inside TLS. */
export const kafkaListeners = [
  "plaintext",
  "tls",
  "saslPlain",
  "saslScram",
  "saslScramTls",
] as const;

/** One of `kafkaListeners`. */
export type KafkaListener = (typeof kafkaListeners)[number];

/** The one user of the SASL listeners: PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512. */
export const kafkaUser = "qmtl";
/** Its password: of a server that only this machine can reach. */
export const kafkaPassword = "qmtl-secret";

const storePassword = "qmtl-store";
const scramMechanisms = "SCRAM-SHA-256,SCRAM-SHA-512";

/** Kafka's security protocol of each listener. */
export const protocolOf = {
  plaintext: "PLAINTEXT",
  tls: "SSL",
  saslPlain: "SASL_PLAINTEXT",
  saslScram: "SASL_PLAINTEXT",
  saslScramTls: "SASL_SSL",
} as const satisfies Record<KafkaListener, string>;

/** A self-signed certificate of 127.0.0.1 and localhost. */
export interface KafkaCertificate {
  /** PKCS12 file with key and certificate. */
  readonly storePath: string;
  /** What a client trusts, as PEM. */
  readonly pem: string;
}

/** Made once and kept in the cache for ten years. */
export async function kafkaCertificate(): Promise<KafkaCertificate> {
  const directory = await cached("kafka-certificate", async (scratch) => {
    const keytool = join(dirname(requireJava().path), "keytool");
    const store = [
      "-keystore",
      join(scratch, "store.p12"),
      "-storetype",
      "PKCS12",
      "-storepass",
      storePassword,
      "-alias",
      "kafka",
    ];
    const action = "make a certificate for Kafka";
    const names = ["-dname", "CN=127.0.0.1", "-ext", "SAN=IP:127.0.0.1,DNS:localhost"];
    const key = ["-keyalg", "RSA", "-keysize", "2048", "-validity", "3650"];
    await runTool([keytool, "-genkeypair", ...store, ...names, ...key], { action });
    const pem = await runTool([keytool, "-exportcert", "-rfc", ...store], { action });
    await writeFile(join(scratch, "certificate.pem"), pem);
  });
  return {
    storePath: join(directory, "store.p12"),
    pem: await readFile(join(directory, "certificate.pem"), "utf8"),
  };
}

/** The broker's settings that `listeners` need, by their names in server.properties. */
export async function securitySettings(
  listeners: readonly KafkaListener[],
): Promise<Readonly<Record<string, string>>> {
  const settings: Record<string, string> = {};
  if (listeners.includes("tls") || listeners.includes("saslScramTls")) {
    settings["ssl.keystore.type"] = "PKCS12";
    settings["ssl.keystore.location"] = (await kafkaCertificate()).storePath;
    settings["ssl.keystore.password"] = storePassword;
  }
  if (listeners.includes("saslPlain")) {
    const module = "org.apache.kafka.common.security.plain.PlainLoginModule";
    settings["listener.name.saslplain.sasl.enabled.mechanisms"] = "PLAIN";
    settings["listener.name.saslplain.plain.sasl.jaas.config"] =
      `${module} required user_${kafkaUser}="${kafkaPassword}";`;
  }
  for (const listener of listeners) {
    if (listener !== "saslScram" && listener !== "saslScramTls") continue;
    const prefix = `listener.name.${listener.toLowerCase()}`;
    const module = "org.apache.kafka.common.security.scram.ScramLoginModule required;";
    settings[`${prefix}.sasl.enabled.mechanisms`] = scramMechanisms;
    settings[`${prefix}.scram-sha-256.sasl.jaas.config`] = module;
    settings[`${prefix}.scram-sha-512.sasl.jaas.config`] = module;
  }
  return settings;
}
