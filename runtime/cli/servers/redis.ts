import { redisProgram } from "./artifacts/redis-program.ts";
import { openDataDirectory } from "./process/data-directory.ts";
import { freePort } from "./process/free-port.ts";
import { ManagedServer, type Server, type StartOptions } from "./process/managed-server.ts";
import { ask } from "./process/probe.ts";

/** How to start Redis. */
export interface RedisOptions extends StartOptions {
  /**
   * When the append-only file goes to disk. `everysec` (default, as in production) may lose up to
   * 2 s at `kill -9` while a background fsync runs; `always` loses nothing acknowledged.
   */
  readonly appendFsync?: "always" | "everysec" | "no";
  /** False: no append-only file at all, so that the warning about it can be tested. Default true. */
  readonly appendOnly?: boolean;
  /** Further settings by their names in redis.conf. */
  readonly settings?: Readonly<Record<string, string>>;
}

/**
 * Redis from PATH, else from the system's package; url `redis://127.0.0.1:PORT`. Ready when it has
 * loaded its data and says so under its own process ID, so another server on the port is no answer.
 *
 * @throws QmtlError SERVER_START_FAILED if it cannot be had or does not start.
 */
export async function startRedis(options: RedisOptions = {}): Promise<Server> {
  const { path, environment } = await redisProgram();
  const port = options.port ?? (await freePort());
  const data = openDataDirectory("redis", options.dataDir);
  const settings = {
    bind: "127.0.0.1",
    port: String(port),
    dir: data.path,
    daemonize: "no",
    save: "",
    appendonly: options.appendOnly === false ? "no" : "yes",
    appendfsync: options.appendFsync ?? "everysec",
    "maxmemory-policy": "noeviction",
    ...options.settings,
  };
  const flags = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]);
  return await new ManagedServer({
    name: "redis",
    url: `redis://127.0.0.1:${port}`,
    port,
    data,
    options,
    command: [path, ...flags],
    environment,
    readyMsMax: 30_000,
    isReady: async (_log, pid) => {
      const answer = await ask(port, "INFO\r\n", (text) => text.includes("# Keyspace"));
      return answer?.includes(`process_id:${pid}\r\n`) === true && answer.includes("\nloading:0");
    },
  }).start();
}
