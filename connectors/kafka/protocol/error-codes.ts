/**
 * What a broker's error code asks of us.
 *
 *   leader   the partition is led by another broker, or by none yet: ask who, and try again
 *   again    try again after a pause
 *   unsure   as `again`, but the request may have taken effect
 *   never    trying again changes nothing
 */
export type ErrorAdvice = "leader" | "again" | "unsure" | "never";

/** Name of `code` as in Kafka's protocol guide. */
export function errorName(code: number): string {
  return known[code]?.[0] ?? `ERROR_${code}`;
}

/** What to do about `code`; `never` for one we do not know. */
export function errorAdvice(code: number): ErrorAdvice {
  return known[code]?.[1] ?? "never";
}

/** Codes that the connector treats by name. */
export const errorCode = {
  none: 0,
  offsetOutOfRange: 1,
  unknownTopicOrPartition: 3,
  messageTooLarge: 10,
  invalidTopic: 17,
  recordListTooLarge: 18,
  duplicateSequence: 46,
} as const;

const known: Readonly<Record<number, readonly [name: string, advice: ErrorAdvice]>> = {
  [-1]: ["UNKNOWN_SERVER_ERROR", "unsure"],
  1: ["OFFSET_OUT_OF_RANGE", "never"],
  2: ["CORRUPT_MESSAGE", "never"],
  3: ["UNKNOWN_TOPIC_OR_PARTITION", "leader"],
  5: ["LEADER_NOT_AVAILABLE", "leader"],
  6: ["NOT_LEADER_OR_FOLLOWER", "leader"],
  7: ["REQUEST_TIMED_OUT", "unsure"],
  8: ["BROKER_NOT_AVAILABLE", "leader"],
  9: ["REPLICA_NOT_AVAILABLE", "leader"],
  10: ["MESSAGE_TOO_LARGE", "never"],
  13: ["NETWORK_EXCEPTION", "unsure"],
  14: ["COORDINATOR_LOAD_IN_PROGRESS", "again"],
  15: ["COORDINATOR_NOT_AVAILABLE", "again"],
  16: ["NOT_COORDINATOR", "again"],
  17: ["INVALID_TOPIC_EXCEPTION", "never"],
  18: ["RECORD_LIST_TOO_LARGE", "never"],
  19: ["NOT_ENOUGH_REPLICAS", "again"],
  20: ["NOT_ENOUGH_REPLICAS_AFTER_APPEND", "unsure"],
  29: ["TOPIC_AUTHORIZATION_FAILED", "never"],
  31: ["CLUSTER_AUTHORIZATION_FAILED", "never"],
  32: ["INVALID_TIMESTAMP", "never"],
  33: ["UNSUPPORTED_SASL_MECHANISM", "never"],
  34: ["ILLEGAL_SASL_STATE", "never"],
  35: ["UNSUPPORTED_VERSION", "never"],
  37: ["INVALID_PARTITIONS", "never"],
  38: ["INVALID_REPLICATION_FACTOR", "never"],
  41: ["NOT_CONTROLLER", "again"],
  42: ["INVALID_REQUEST", "never"],
  43: ["UNSUPPORTED_FOR_MESSAGE_FORMAT", "never"],
  44: ["POLICY_VIOLATION", "never"],
  45: ["OUT_OF_ORDER_SEQUENCE_NUMBER", "never"],
  46: ["DUPLICATE_SEQUENCE_NUMBER", "never"],
  47: ["INVALID_PRODUCER_EPOCH", "never"],
  48: ["INVALID_TXN_STATE", "never"],
  53: ["TRANSACTIONAL_ID_AUTHORIZATION_FAILED", "never"],
  56: ["KAFKA_STORAGE_ERROR", "leader"],
  58: ["SASL_AUTHENTICATION_FAILED", "never"],
  59: ["UNKNOWN_PRODUCER_ID", "never"],
  74: ["FENCED_LEADER_EPOCH", "leader"],
  75: ["UNKNOWN_LEADER_EPOCH", "leader"],
  76: ["UNSUPPORTED_COMPRESSION_TYPE", "never"],
  78: ["OFFSET_NOT_AVAILABLE", "again"],
  87: ["INVALID_RECORD", "never"],
  89: ["THROTTLING_QUOTA_EXCEEDED", "again"],
  90: ["PRODUCER_FENCED", "never"],
};
