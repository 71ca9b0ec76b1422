import { readFileSync } from "node:fs";
import { z } from "zod";
import { checkSettings, errorText, QmtlError } from "../../runtime/index.ts";

const milliseconds = (text: string): z.ZodCoercedNumber =>
  z.coerce.number().int().min(10).max(600_000).describe(text);

/** Settings of a Redis connection: what the URL names, and `?key=value` behind it. */
export const redisConfig = z.strictObject({
  host: z.string().min(1, "wanted a host").describe("Name or address of the server"),
  port: z.coerce.number().int().min(1).max(65_535).default(6_379).describe("TCP port"),
  username: z.string().optional().describe("ACL user; the server's default user if left out"),
  password: z.string().optional().describe("Never part of a message or a log"),
  db: z.coerce.number().int().min(0).max(65_535).default(0).describe("Number of the database"),
  isTls: z.boolean().describe("rediss://"),
  tlsCa: z.string().min(1).optional().describe("PEM file of who signed the server's certificate"),
  connectTimeoutMs: milliseconds("Longest wait for a TCP or TLS connection, ms").default(2_000),
  commandTimeoutMs: milliseconds("Longest wait for a reply, ms").default(5_000),
  retryMsMax: milliseconds(
    "A call is tried again for this long, ms; then the caller decides",
  ).default(5_000),
});

export type RedisConfig = z.output<typeof redisConfig>;

/**
 * The settings in `redis://[user:password@]host[:port][/db][?key=value]`.
 *
 * @throws QmtlError CONFIG_INVALID naming every unknown key and bad value, never the password.
 */
export function parseRedisUrl(url: string): RedisConfig {
  const parts = URL.canParse(url) ? new URL(url) : undefined;
  if (parts === undefined) {
    throw invalid("redis URL", ["it is no URL"]);
  }
  const given: Record<string, unknown> = {
    ...Object.fromEntries(parts.searchParams),
    host: parts.hostname.replace(/^\[(.*)\]$/, "$1"),
    isTls: parts.protocol === "rediss:",
  };
  const { port, pathname } = parts;
  if (port !== "") given["port"] = port;
  if (pathname !== "" && pathname !== "/") given["db"] = pathname.slice(1);
  const [username, password] = [decoded(parts.username), decoded(parts.password)];
  if (username !== "") given["username"] = username;
  if (password !== "") given["password"] = password;
  const { settings, faults } = checkSettings(redisConfig, given);
  const shown = shownUrl(parts);
  if (settings === undefined) throw invalid(shown, faults);
  if (settings.tlsCa !== undefined && !settings.isTls) {
    throw invalid(shown, ["tlsCa: it has no meaning without TLS"]);
  }
  return settings;
}

/** The certificates in `tlsCa`. @throws QmtlError CONFIG_INVALID if it cannot be read. */
export function readCertificates(tlsCa: string): string {
  try {
    return readFileSync(tlsCa, "utf8");
  } catch (error) {
    throw new QmtlError(
      "CONFIG_INVALID",
      `Cannot read the certificates "${tlsCa}": ${errorText(error)}, wanted a PEM file`,
      { tlsCa },
      error,
    );
  }
}

/** Name of the server for people: no user, no password. */
export function serverNameOf(config: RedisConfig): string {
  const scheme = config.isTls ? "rediss" : "redis";
  const host = config.host.includes(":") ? `[${config.host}]` : config.host;
  return `${scheme}://${host}:${config.port}${config.db === 0 ? "" : `/${config.db}`}`;
}

function shownUrl(url: URL): string {
  return `${url.protocol}//${url.host}${url.pathname}`;
}

/** Percent-decoded; a `%` that begins no code stands for itself. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function invalid(shown: string, faults: readonly string[]): QmtlError {
  return new QmtlError(
    "CONFIG_INVALID",
    `Cannot open "${shown}": ${faults.join("; ")}, wanted redis://[user:password@]host:port[/db]`,
  );
}
