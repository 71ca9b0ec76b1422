import { Kafka, logLevel, type SASLOptions } from "kafkajs";
import { errorText, QmtlError, type TopicSpec } from "../../runtime/index.ts";
import { type KafkaConfig } from "./config.ts";
import { abortable } from "./session/abortable.ts";
import { addressText } from "./wire/address.ts";

/**
 * Makes a topic through kafkajs, on a connection of its own that is closed again: an idle one
 * keeps a timer of 1 ms running.
 *
 * @returns false if the topic was there.
 * @throws QmtlError TRANSPORT_REJECTED if the cluster does not want it, TRANSPORT_AUTH_FAILED,
 *   TRANSPORT_UNAVAILABLE (safe to repeat).
 */
export async function createTopic(
  config: KafkaConfig,
  spec: TopicSpec,
  signal: AbortSignal,
): Promise<boolean> {
  const admin = clientOf(config).admin({ retry: { retries: 2 } });
  const settings = {
    "retention.ms": String(spec.retentionMs ?? -1),
    ...(spec.minInsyncReplicas === undefined
      ? {}
      : { "min.insync.replicas": String(spec.minInsyncReplicas) }),
  };
  try {
    await abortable(admin.connect(), signal);
    const request = admin.createTopics({
      waitForLeaders: false,
      timeout: Math.ceil(config.wire.stallMsMax * 0.8),
      topics: [
        {
          topic: spec.name,
          numPartitions: spec.partitions,
          replicationFactor: spec.replication ?? -1,
          configEntries: Object.entries(settings).map(([name, value]) => ({ name, value })),
        },
      ],
    });
    return await abortable(request, signal);
  } catch (error) {
    if (signal.aborted || !(error instanceof Error)) throw error;
    throw meaningOf(error, spec.name);
  } finally {
    // It waits for requests of a broker that may be gone; nobody needs to wait for it.
    void admin.disconnect().catch(() => undefined);
  }
}

function clientOf({ seeds, wire }: KafkaConfig): Kafka {
  const { tls, login } = wire;
  return new Kafka({
    clientId: wire.clientId,
    brokers: seeds.map(addressText),
    logLevel: logLevel.NOTHING,
    connectionTimeout: wire.connectMsMax,
    authenticationTimeout: wire.connectMsMax,
    requestTimeout: wire.stallMsMax,
    ...(tls === undefined
      ? {}
      : {
          ssl: {
            ...(tls.ca === undefined ? {} : { ca: [tls.ca] }),
            ...(tls.cert === undefined ? {} : { cert: tls.cert }),
            ...(tls.key === undefined ? {} : { key: tls.key }),
            ...(tls.serverName === undefined ? {} : { servername: tls.serverName }),
          },
        }),
    ...(login === undefined ? {} : { sasl: saslOf(login) }),
  });
}

function saslOf({ mechanism, user, password }: NonNullable<Login>): SASLOptions {
  return { mechanism, username: user, password };
}

type Login = KafkaConfig["wire"]["login"];

function meaningOf(error: Error, topic: string): QmtlError {
  const cause = innermost(error);
  // Only what a broker said has a type.
  const said = "type" in cause && typeof cause.type === "string" ? cause.type : undefined;
  const isRetriable = "retriable" in cause && cause.retriable === true;
  const mayPass = said === undefined || isRetriable || transient.has(said);
  const isLogin = cause.name === "KafkaJSSASLAuthenticationError";
  return new QmtlError(
    isLogin ? "TRANSPORT_AUTH_FAILED" : mayPass ? "TRANSPORT_UNAVAILABLE" : "TRANSPORT_REJECTED",
    `Cannot make the topic "${topic}": ${errorText(cause)}`,
    { topic, reason: said ?? cause.name },
    error,
  );
}

/** Refusals that kafkajs takes for final, but that pass. */
const transient: ReadonlySet<string> = new Set(["REQUEST_TIMED_OUT", "NOT_CONTROLLER"]);

/** What is at the bottom of kafkajs's wrappers: retries, aggregates, causes. */
function innermost(error: Error): Error {
  if ("errors" in error && Array.isArray(error.errors)) {
    const first: unknown = error.errors[0];
    if (first instanceof Error) return innermost(first);
  }
  return error.cause instanceof Error ? innermost(error.cause) : error;
}
