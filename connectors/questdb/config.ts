import { readFileSync } from "node:fs";
import { z } from "zod";
import { checkSettings, errorText, QmtlError } from "../../runtime/index.ts";

const milliseconds = (max: number) => z.coerce.number().int().min(1).max(max);

/** Settings of a QuestDB store: unit in the name, reason in the text, a limit on each. */
export const questdbConfig = z.strictObject({
  host: z.string().min(1, "wanted a host").describe("Host of the server"),
  port: z.coerce.number().int().min(1).max(65_535).default(9_000).describe("HTTP port"),
  user: z.string().optional().describe("Of HTTP and, if given, of the PostgreSQL port too"),
  password: z
    .string()
    .optional()
    .describe(
      "The user's; without a user it is a token for HTTP. Never part of a message or a log",
    ),
  isTls: z.boolean().default(false).describe("questdbs://: HTTP and the PostgreSQL port encrypted"),
  tlsCa: z
    .string()
    .min(1)
    .optional()
    .describe("PEM file of the authorities to trust instead of the system's"),
  pgPort: z.coerce
    .number()
    .int()
    .min(1)
    .max(65_535)
    .optional()
    .describe("PostgreSQL port, from which rows are read; the server is asked for it by default"),
  prefix: z
    .string()
    .regex(/^[a-z][a-z0-9_]{0,30}$/, "wanted a small letter, then up to 30 of a-z, 0-9 and _")
    .default("qmtl")
    .describe("What the names of all tables begin with, so that projects can share a server"),
  batchRowsMax: z.coerce
    .number()
    .int()
    .min(1)
    .max(1_000_000)
    .default(50_000)
    .describe("Rows of one request"),
  batchBytesMax: z.coerce
    .number()
    .int()
    .min(65_536)
    .max(2 ** 28)
    .default(2 ** 23)
    .describe("Bytes of one request; a connection holds two buffers of them"),
  batchMsMax: z.coerce
    .number()
    .int()
    .min(0)
    .max(60_000)
    .default(2)
    .describe("How long a row waits for others to share its request"),
  requestMsMax: milliseconds(600_000)
    .default(30_000)
    .describe("Silence of the server after which a request is given up and tried again"),
  retryMsMax: milliseconds(86_400_000)
    .default(60_000)
    .describe("How long a server that fails is tried again before STORE_UNAVAILABLE"),
  walMsMax: milliseconds(86_400_000)
    .default(60_000)
    .describe("How long committed rows may make no progress towards being visible"),
  rejectedRowsMax: z.coerce
    .number()
    .int()
    .min(0)
    .max(10_000)
    .default(100)
    .describe("Rows of a page that go to the dead letters; beyond it the page is refused"),
});

/** Parsed settings; `tls` is there if the connection is encrypted, with the PEM that `tlsCa` names. */
export type QuestdbConfig = z.output<typeof questdbConfig> & {
  readonly tls: { readonly ca: string | undefined } | undefined;
};

/**
 * The settings that a URL `questdb://[user:password@]host[:port][?key=value]` carries; `questdbs://`
 * is the same with TLS.
 *
 * @throws QmtlError CONFIG_INVALID naming every unknown key and bad value.
 */
export function parseQuestdbUrl(url: string): QuestdbConfig {
  const parts = URL.canParse(url) ? new URL(url) : undefined;
  if (parts === undefined || !isServer(parts)) throw invalid(url, "it is no such URL");
  const { hostname: host, port, username, password } = parts;
  const given = {
    ...Object.fromEntries(parts.searchParams),
    host,
    isTls: parts.protocol === "questdbs:",
    ...(port === "" ? {} : { port }),
    ...(username === "" ? {} : { user: decode(username) }),
    ...(password === "" ? {} : { password: decode(password) }),
  };
  const { settings, faults } = checkSettings(questdbConfig, given);
  if (settings !== undefined) return { ...settings, tls: tlsOf(url, settings) };
  throw invalid(url, faults.join("; "));
}

function isServer({ protocol, pathname, hash }: URL): boolean {
  const isOurs = protocol === "questdb:" || protocol === "questdbs:";
  return isOurs && (pathname === "" || pathname === "/") && hash === "";
}

function tlsOf(
  url: string,
  { isTls, tlsCa }: z.output<typeof questdbConfig>,
): QuestdbConfig["tls"] {
  if (!isTls && tlsCa !== undefined) throw invalid(url, "tlsCa: it needs questdbs://");
  if (!isTls) return undefined;
  try {
    return { ca: tlsCa === undefined ? undefined : readFileSync(tlsCa, "utf8") };
  } catch (error) {
    throw invalid(url, `tlsCa: ${errorText(error)}`);
  }
}

/** `url` without its password, fit for messages. */
export function withoutPassword(url: string): string {
  return url.replace(/^([a-z]+:\/\/[^/?#@:]*):[^/?#]*@/, "$1:***@");
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function invalid(url: string, fault: string): QmtlError {
  return new QmtlError(
    "CONFIG_INVALID",
    `Cannot open "${withoutPassword(url)}": ${fault}, wanted questdb[s]://[USER:PASSWORD@]HOST[:HTTPPORT][?key=value]`,
  );
}
