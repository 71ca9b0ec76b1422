import { existsSync } from "node:fs";
import { join } from "node:path";
import { QmtlError } from "../../core/errors.ts";
import { cacheRoot } from "./artifacts/cache.ts";
import { findJava, javaInstallLine } from "./artifacts/java.ts";
import { mavenInstallLine } from "./artifacts/maven.ts";
import { canHaveRedis, redisInstallLine } from "./artifacts/redis-program.ts";
import { kafkaVersions } from "./kafka/kafka.ts";
import { canLaunchNeo4j, neo4jVersion } from "./neo4j.ts";
import { questdbVersion } from "./questdb.ts";

/** The servers we can start. */
export const serverKinds = ["kafka", "questdb", "redis", "neo4j"] as const;

/** One of `serverKinds`. */
export type ServerKind = (typeof serverKinds)[number];

/**
 * The kinds that a command line names; all if it names none.
 *
 * @throws QmtlError ARGUMENT_INVALID if a name is not one of `serverKinds`.
 */
export function serverKindsOf(names: readonly string[]): readonly ServerKind[] {
  const unknown = names.find((name) => !isServerKind(name));
  if (unknown !== undefined) {
    throw new QmtlError(
      "ARGUMENT_INVALID",
      `Cannot choose the server "${unknown}": wanted one of ${serverKinds.join(", ")}`,
    );
  }
  const chosen = serverKinds.filter((kind) => names.includes(kind));
  return chosen.length === 0 ? serverKinds : chosen;
}

function isServerKind(name: string): name is ServerKind {
  return serverKinds.some((kind) => kind === name);
}

const jarsOf = {
  kafka: `kafka-${kafkaVersions[0]}`,
  questdb: `questdb-${questdbVersion}`,
  neo4j: `neo4j-${neo4jVersion}`,
} as const;

/**
 * What this machine lacks to start `kind`, as one line with the command that installs it;
 * undefined if nothing is missing. Looks only at this machine, not at the network.
 */
export function missingFor(kind: ServerKind): string | undefined {
  if (kind === "redis") {
    return canHaveRedis() ? undefined : `Redis is missing; install it with: ${redisInstallLine}`;
  }
  if (findJava() === undefined) {
    return `Java 17 or newer is missing; install it with: ${javaInstallLine}`;
  }
  if (!existsSync(join(cacheRoot(), jarsOf[kind])) && Bun.which("mvn") === null) {
    return `Maven is missing, which fetches ${kind} once; install it with: ${mavenInstallLine}`;
  }
  if (kind === "neo4j" && !canLaunchNeo4j()) {
    return `The Java compiler is missing; install it with: ${javaInstallLine}`;
  }
  return undefined;
}
