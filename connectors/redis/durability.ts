import { type RedisConnection } from "./connection.ts";

const settings = ["appendonly", "appendfsync", "save", "maxmemory-policy"] as const;

/** What the server says of itself; a setting it does not tell is undefined. */
interface Durability {
  readonly appendonly: string | undefined;
  readonly appendfsync: string | undefined;
  readonly save: string | undefined;
  readonly "maxmemory-policy": string | undefined;
  /** True if CONFIG GET is refused: renamed, or not permitted to this user. */
  readonly isConfigHidden: boolean;
  readonly info: ReadonlyMap<string, string>;
}

/**
 * One line for each setting of the server that puts acknowledged state at risk; none if nothing
 * does. Where CONFIG is not permitted, INFO says what it can, and a line says so.
 *
 * @throws QmtlError STORE_UNAVAILABLE, STORE_AUTH_FAILED as `RedisConnection.execute`.
 */
export async function durabilityWarnings(
  connection: RedisConnection,
  signal: AbortSignal,
): Promise<readonly string[]> {
  return warningsOf(await ask(connection, signal));
}

async function ask(connection: RedisConnection, signal: AbortSignal): Promise<Durability> {
  const commands = [
    ...settings.map((name) => ({ name: "CONFIG", args: ["GET", name] })),
    { name: "INFO", args: [] },
  ];
  const action = "read the server's settings";
  const call = { action, commands, isRepeatable: true, takesRefusals: true };
  const replies = await connection.execute(call, signal);
  const values = replies.slice(0, settings.length).map(settingOf);
  const lines = textOf(replies[settings.length])?.matchAll(/^(\w+):(.*?)\r?$/gm) ?? [];
  const info = new Map([...lines].map(([, name = "", value = ""]) => [name, value]));
  const aof = info.get("aof_enabled");
  return {
    appendonly: values[0] ?? (aof === undefined ? undefined : aof === "1" ? "yes" : "no"),
    appendfsync: values[1],
    save: values[2],
    "maxmemory-policy": values[3] ?? info.get("maxmemory_policy"),
    isConfigHidden: values.includes(undefined),
    info,
  };
}

function warningsOf(found: Durability): readonly string[] {
  const policy = found["maxmemory-policy"];
  const { info } = found;
  const lines: string[] = [];
  if (found.isConfigHidden) {
    lines.push(
      "Redis does not permit CONFIG GET: its durability (appendonly, appendfsync, maxmemory-policy) could not be checked in full",
    );
  }
  if (found.appendonly === "no") {
    const lost = found.save === "" ? "every checkpoint" : "what came after its last snapshot";
    lines.push(`Redis has appendonly no: a restart of it loses ${lost}; wanted appendonly yes`);
  } else if (found.appendfsync === "everysec") {
    lines.push(
      "Redis has appendfsync everysec: a crash may lose the last 2 s of acknowledged state; appendfsync always loses none",
    );
  } else if (found.appendfsync === "no") {
    lines.push(
      "Redis has appendfsync no: a crash of the machine may lose the last 30 s of acknowledged state; wanted everysec or always",
    );
  }
  if (policy?.startsWith("allkeys-") === true) {
    lines.push(
      `Redis has maxmemory-policy ${policy}: it may evict checkpoints when memory is full; wanted noeviction`,
    );
  }
  if (info.get("aof_last_write_status") === "err") {
    lines.push("Redis failed to write its append-only file last time; look at its disk and log");
  }
  if (info.get("role") === "slave") {
    lines.push("Redis is a replica: it refuses writes; wanted the address of the primary");
  }
  return lines;
}

/** Value of a CONFIG GET reply, [name, value]; undefined if it was refused or is not known. */
function settingOf(reply: unknown): string | undefined {
  return Array.isArray(reply) ? textOf(reply[1]) : undefined;
}

function textOf(reply: unknown): string | undefined {
  return reply instanceof Uint8Array ? new TextDecoder().decode(reply) : undefined;
}
