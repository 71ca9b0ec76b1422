import { readFileSync } from "node:fs";
import { z } from "zod";
import { checkSettings, errorText, QmtlError } from "../../runtime/index.ts";
import { type BrokerAddress, parseAddress } from "./wire/address.ts";
import { type WireSettings } from "./wire/connection.ts";

const milliseconds = z.coerce.number().int().min(1).max(3_600_000);
const bytes = z.coerce.number().int();
const path = z.string().min(1).optional();

/** What the query of a `kafka:` URL may say. */
export const kafkaConfig = z
  .strictObject({
    clientId: z
      .string()
      .regex(
        /^[A-Za-z0-9._-]{1,128}$/,
        "wanted 1 to 128 letters, digits, dots, dashes, underscores",
      )
      .default("qmtl")
      .describe("Name under which the broker logs us and counts quotas"),
    isolation: z
      .enum(["committed", "uncommitted"])
      .default("committed")
      .describe("Which transactional records a fetch returns; committed hides open ones"),
    connectMsMax: milliseconds
      .default(5_000)
      .describe("Longest wait for a connection, TLS and login included, in ms"),
    stallMsMax: milliseconds
      .min(100)
      .default(5_000)
      .describe("Silence on a connection that owes an answer after which it is rebuilt, in ms"),
    requestMsMax: milliseconds
      .min(100)
      .default(30_000)
      .describe("Longest wait for one answer even if bytes trickle in, in ms"),
    unavailableMsMax: milliseconds
      .default(60_000)
      .describe("Tries of one call last so long before it fails with TRANSPORT_UNAVAILABLE, in ms"),
    requestBytesMax: bytes
      .min(1_024)
      .max(2 ** 30)
      .default(104_857_600)
      .describe("Bytes of one request; the default is the broker's own socket.request.max.bytes"),
    responseBytesMax: bytes
      .min(65_536)
      .max(2 ** 30)
      .default(268_435_456)
      .describe("Bytes of one answer: each of the two receive buffers of a broker grows up to it"),
    tls: z
      .enum(["true", "false"])
      .optional()
      .describe("Encrypts the connection and checks the server's certificate"),
    tlsCa: path.describe("PEM file of the authorities to trust instead of the system's"),
    tlsCert: path.describe("PEM file of our own certificate, with tlsKey"),
    tlsKey: path.describe("PEM file of our own key, with tlsCert"),
    tlsServerName: z.string().min(1).optional().describe("Name the certificate must have"),
    sasl: z
      .enum(["plain", "scram-sha-256", "scram-sha-512"])
      .optional()
      .describe("How to log in as the user named in the URL"),
    passwordEnv: z
      .string()
      .min(1)
      .optional()
      .describe("Environment variable with the password, so that the URL holds no secret"),
  })
  .refine((found) => (found.tlsCert === undefined) === (found.tlsKey === undefined), {
    message: "tlsCert and tlsKey go together",
  })
  .refine((found) => found.tls === "true" || !usesTls(found), {
    message: "tlsCa, tlsCert, tlsKey and tlsServerName need tls=true",
  });

/** A parsed `kafka:` URL. */
export interface KafkaConfig {
  readonly seeds: readonly BrokerAddress[];
  readonly isolation: "committed" | "uncommitted";
  readonly unavailableMsMax: number;
  readonly wire: WireSettings;
}

/**
 * The settings of `kafka://[user[:password]@]host:port[,host:port…][?key=value…]`; user and
 * password are percent-encoded. No message names the password.
 *
 * @throws QmtlError CONFIG_INVALID naming every unknown key and bad value.
 */
export function parseKafkaUrl(url: string): KafkaConfig {
  const displayUrl = url.replace(/^([^:]*:\/\/[^:@/?]*):[^@/?]*@/, "$1:***@");
  const faults: string[] = [];
  const { user, password, hosts, query } = partsOf(url, faults);
  const checked = checkSettings(kafkaConfig, Object.fromEntries(new URLSearchParams(query)));
  faults.push(...checked.faults);
  const found = checked.settings;
  const login = found === undefined ? undefined : loginOf(found, { user, password }, faults);
  const tls = found?.tls === "true" ? tlsOf(found, faults) : undefined;
  if (found === undefined || faults.length > 0) {
    throw new QmtlError(
      "CONFIG_INVALID",
      `Cannot open "${displayUrl}": ${faults.join("; ")}, wanted kafka://host:port[,host:port]?key=value`,
    );
  }
  const { isolation, unavailableMsMax, clientId, connectMsMax, stallMsMax } = found;
  const { requestMsMax, requestBytesMax, responseBytesMax } = found;
  const limits = { connectMsMax, stallMsMax, requestMsMax, requestBytesMax, responseBytesMax };
  const wire = { clientId, ...limits, tls, login };
  return { seeds: hosts, isolation, unavailableMsMax, wire };
}

type Found = z.output<typeof kafkaConfig>;

function usesTls(found: {
  readonly tlsCa?: string | undefined;
  readonly tlsCert?: string | undefined;
  readonly tlsServerName?: string | undefined;
}): boolean {
  return (
    found.tlsCa !== undefined || found.tlsCert !== undefined || found.tlsServerName !== undefined
  );
}

interface UrlParts {
  readonly user: string | undefined;
  readonly password: string | undefined;
  readonly hosts: readonly BrokerAddress[];
  readonly query: string;
}

const shape = /^kafka:\/\/(?:([^:@/?]*)(?::([^@/?]*))?@)?([^@/?]+)\/?(?:\?(.*))?$/s;

function partsOf(url: string, faults: string[]): UrlParts {
  const match = shape.exec(url);
  if (match === null) faults.push("it is no URL of brokers");
  const [, user, password, hosts = "", query = ""] = match ?? [];
  const addresses = (hosts === "" ? [] : hosts.split(",")).flatMap((part) => {
    const address = parseAddress(part);
    if (address === undefined) faults.push(`"${part}" is not host:port`);
    return address ?? [];
  });
  return {
    user: decoded(user, faults),
    password: decoded(password, faults),
    hosts: addresses,
    query,
  };
}

function decoded(text: string | undefined, faults: string[]): string | undefined {
  try {
    return text === undefined ? undefined : decodeURIComponent(text);
  } catch {
    faults.push("user or password is not percent-encoded");
    return undefined;
  }
}

function loginOf(
  { sasl, passwordEnv }: Found,
  { user, password }: Pick<UrlParts, "user" | "password">,
  faults: string[],
): WireSettings["login"] {
  const isNamed = user !== undefined || passwordEnv !== undefined;
  if (sasl === undefined) {
    if (isNamed) faults.push("a user needs sasl=plain, scram-sha-256 or scram-sha-512");
    return undefined;
  }
  if (password !== undefined && passwordEnv !== undefined) faults.push("two passwords are given");
  const secret = passwordEnv === undefined ? password : process.env[passwordEnv];
  if (user !== undefined && user !== "" && secret !== undefined) {
    return { mechanism: sasl, user, password: secret };
  }
  const isUnset = passwordEnv !== undefined && secret === undefined;
  faults.push(
    isUnset
      ? `passwordEnv: the variable ${passwordEnv} is not set`
      : "sasl needs user:password@ or user@ and passwordEnv",
  );
  return undefined;
}

function tlsOf(found: Found, faults: string[]): WireSettings["tls"] {
  const read = (key: "tlsCa" | "tlsCert" | "tlsKey"): string | undefined => {
    const file = found[key];
    try {
      return file === undefined ? undefined : readFileSync(file, "utf8");
    } catch (error) {
      faults.push(`${key}: ${errorText(error)}`);
      return undefined;
    }
  };
  return {
    ca: read("tlsCa"),
    cert: read("tlsCert"),
    key: read("tlsKey"),
    serverName: found.tlsServerName,
  };
}
