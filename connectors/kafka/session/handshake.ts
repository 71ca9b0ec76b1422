import { QmtlError } from "../../../runtime/index.ts";
import { type ApiRange, apiVersionsCall } from "../protocol/api-versions.ts";
import { errorCode, errorName } from "../protocol/error-codes.ts";
import { fetchApi } from "../protocol/fetch.ts";
import { initProducerIdApi } from "../protocol/init-producer-id.ts";
import { listOffsetsApi } from "../protocol/list-offsets.ts";
import { metadataApi } from "../protocol/metadata.ts";
import { produceApi } from "../protocol/produce.ts";
import { type SaslStep, saslAuthenticateCall, saslHandshakeCall } from "../protocol/sasl.ts";
import { type Connection, type Login } from "../wire/connection.ts";
import { type Api } from "../wire/request-writer.ts";
import { ScramClient } from "./scram.ts";

const wanted: readonly Api[] = [
  fetchApi,
  produceApi,
  listOffsetsApi,
  metadataApi,
  initProducerIdApi,
];

/**
 * Begins a session on a new connection: versions, then login.
 *
 * @returns how long the login holds, ms; Infinity: as long as the connection.
 * @throws QmtlError TRANSPORT_REJECTED (details: api, wanted, min, max) if the broker does not
 *   speak a version we need, TRANSPORT_AUTH_FAILED if it does not let us in.
 */
export async function beginSession(
  connection: Connection,
  login: Login | undefined,
): Promise<number> {
  const found = await connection.request(apiVersionsCall);
  if (found.errorCode !== errorCode.none) {
    throw new QmtlError(
      "TRANSPORT_REJECTED",
      `Cannot ask the broker for its versions: found ${errorName(found.errorCode)}, wanted Kafka 2.4 or newer`,
    );
  }
  checkVersions(found.ranges);
  return login === undefined ? Number.POSITIVE_INFINITY : await logIn(connection, login);
}

/** @throws QmtlError TRANSPORT_REJECTED for the first request that the broker does not speak. */
export function checkVersions(ranges: readonly ApiRange[]): void {
  for (const { name, key, version } of wanted) {
    const range = ranges.find((one) => one.key === key);
    const { min, max } = range ?? { min: -1, max: -1 };
    if (version >= min && version <= max) continue;
    throw new QmtlError(
      "TRANSPORT_REJECTED",
      `Cannot talk to the broker: it speaks ${name} ${min} to ${max}, wanted version ${version}, as Kafka 2.4 to 4.x do`,
      { reason: "API_VERSION", api: name, wanted: version, min, max },
    );
  }
}

async function logIn(connection: Connection, login: Login): Promise<number> {
  const mechanism = login.mechanism.toUpperCase();
  const handshake = await connection.request(saslHandshakeCall(mechanism));
  if (handshake.errorCode !== errorCode.none) {
    throw failed(`it has ${handshake.mechanisms.join(", ") || "no login"}, wanted ${mechanism}`);
  }
  const last =
    login.mechanism === "plain"
      ? await step(connection, `\u0000${login.user}\u0000${login.password}`)
      : await logInByScram(
          connection,
          new ScramClient(login.mechanism, login.user, login.password),
        );
  return last.lifetimeMs > 0 ? last.lifetimeMs : Number.POSITIVE_INFINITY;
}

async function logInByScram(connection: Connection, client: ScramClient): Promise<SaslStep> {
  const first = await step(connection, client.first);
  const last = await step(connection, client.final(textOf(first)));
  client.verify(textOf(last));
  return last;
}

async function step(connection: Connection, text: string): Promise<SaslStep> {
  const answer = await connection.request(saslAuthenticateCall(new TextEncoder().encode(text)));
  if (answer.errorCode === errorCode.none) return answer;
  throw failed(`${errorName(answer.errorCode)} ${answer.message}`.trim());
}

function textOf({ bytes }: SaslStep): string {
  return new TextDecoder().decode(bytes);
}

function failed(found: string): QmtlError {
  return new QmtlError("TRANSPORT_AUTH_FAILED", `Cannot log in to the broker: ${found}`);
}
