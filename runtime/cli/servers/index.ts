/** The real servers, for tests and for `qmtl up`: a list of names. */
export { startKafka } from "./kafka/kafka.ts";
export { type KafkaCluster } from "./kafka/kafka-cluster.ts";
export { type KafkaListener, kafkaPassword, kafkaUser } from "./kafka/kafka-listeners.ts";
export { type Neo4jServer, startNeo4j } from "./neo4j.ts";
export { freePort } from "./process/free-port.ts";
export { type Server } from "./process/managed-server.ts";
export { type QuestdbServer, startQuestdb } from "./questdb.ts";
export { startRedis } from "./redis.ts";
export { missingFor, type ServerKind, serverKindsOf } from "./requirements.ts";
export { type Check, runChecks } from "./stack/checks.ts";
export { plainTable } from "./stack/plain-table.ts";
export { Stack } from "./stack/stack.ts";
