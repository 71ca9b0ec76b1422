import { beforeAll, describe, test } from "bun:test";
import {
  type KafkaCluster,
  missingFor,
  type Neo4jServer,
  type QuestdbServer,
  type Server,
  type ServerKind,
  startKafka,
  startNeo4j,
  startQuestdb,
  startRedis,
} from "../../runtime/cli/servers/index.ts";

/** The real servers by name. */
export interface Servers {
  readonly kafka: KafkaCluster;
  readonly questdb: QuestdbServer;
  readonly redis: Server;
  readonly neo4j: Neo4jServer;
}

/** Time for a first start on a new machine, which fetches the server's program, in ms. */
export const firstStartMsMax = 600_000;

/**
 * One server of each kind for all test files of a run: started when it is first asked for, and
 * gone with the process, however that ends. Nobody kills, freezes or clears a shared server; use
 * names of your own in it (`uniqueName`). A test that must kill one starts its own:
 *
 * @example
 * import { startRedis } from "../../../runtime/cli/servers/index.ts";
 * await using redis = await startRedis({ appendFsync: "always" });
 * await redis.kill9();
 * await redis.restart();
 */
export const servers: { readonly [K in ServerKind]: () => Promise<Servers[K]> } = {
  kafka: once(startKafka),
  questdb: once(startQuestdb),
  redis: once(startRedis),
  neo4j: once(startNeo4j),
};

/**
 * `describe` for tests that need real servers: they run before the first test, outside its time
 * limit. `started()` gives them inside tests and hooks, not while tests are being registered.
 * Where a server cannot be had the tests are skipped, with a line on standard error that says
 * what to install; under `CI=true` they fail with that line instead.
 *
 * @example
 * // test/connectors/redis/state-store.it.test.ts
 * describeWithServers(["redis"], "redis:// state store", (started) => {
 *   test("acquire() counts the epoch up", async () => {
 *     const store = await openStateStore(started().redis.url, uniqueName("task"));
 *   });
 * });
 */
export function describeWithServers<K extends ServerKind>(
  kinds: readonly K[],
  title: string,
  body: (started: () => Pick<Servers, K>) => void,
): void {
  describeNeeding(kinds, title, () => {
    let running: Pick<Servers, K> | undefined;
    // Among skipped tests a hook is counted as one more skipped test.
    if (firstMissing(kinds) === undefined) {
      beforeAll(async () => {
        running = await start(kinds);
      }, firstStartMsMax);
    }
    body(() => running ?? notRunning());
  });
}

/**
 * `describe` for tests that start servers of their own, to kill them or to have them alone; skipped
 * or failed like those of `describeWithServers`. Give hooks that start one `firstStartMsMax`.
 */
export function describeNeeding(
  kinds: readonly ServerKind[],
  title: string,
  body: () => void,
): void {
  const missing = firstMissing(kinds);
  if (missing === undefined) describe(title, body);
  else if (isCi()) {
    test(`${title}: its servers can be started`, () => {
      throw new Error(missing);
    });
  } else describe.skip(title, body);
}

function notRunning(): never {
  throw new Error("Cannot use the servers now: they run only inside tests and hooks");
}

/**
 * One test that needs real servers; `timeoutMs` (10 s by default) is for the test alone.
 *
 * @example
 * itest(["questdb"], "a row can be read back", async ({ questdb }) => {
 *   const response = await fetch(`http://127.0.0.1:${questdb.port}/exec?query=SELECT%201`);
 * });
 */
export function itest<K extends ServerKind>(
  kinds: readonly K[],
  title: string,
  run: (running: Pick<Servers, K>) => Promise<void>,
  timeoutMs = 10_000,
): void {
  describeWithServers(kinds, `with ${kinds.join(", ")}`, (started) => {
    test(title, async () => await run(started()), timeoutMs);
  });
}

let names = 0;

/** A name nobody else in this run has: letters, digits and `_`, fit for topics, tables and keys. */
export function uniqueName(prefix: string): string {
  names += 1;
  return `${prefix}_${process.pid.toString(36)}_${Date.now().toString(36)}_${names}`;
}

function once<T>(begin: () => Promise<T>): () => Promise<T> {
  let promise: Promise<T> | undefined;
  return async () => await (promise ??= begin());
}

async function start<K extends ServerKind>(kinds: readonly K[]): Promise<Pick<Servers, K>> {
  const entries = kinds.map(async (kind) => [kind, await servers[kind]()] as const);
  return Object.fromEntries(await Promise.all(entries)) as unknown as Pick<Servers, K>;
}

const told = new Set<string>();

/** What the first kind that cannot be had is missing; said aloud once a run. */
function firstMissing(kinds: readonly ServerKind[]): string | undefined {
  const missing = kinds.map(missingFor).find((line) => line !== undefined);
  if (missing !== undefined && !isCi() && !told.has(missing)) {
    told.add(missing);
    console.warn(`\nSKIPPED integration tests (${kinds.join(", ")}). ${missing}\n`);
  }
  return missing;
}

function isCi(): boolean {
  return process.env["CI"] === "true";
}
