import { once } from "node:events";
import { connect, isIP, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { QmtlError } from "../../../runtime/index.ts";

/** Where the PostgreSQL port is. */
export interface PgEndpoint {
  readonly host: string;
  readonly port: number;
  /** Undefined: no TLS; `ca` is the PEM of the authorities to trust instead of the system's. */
  readonly tls: { readonly ca: string | undefined } | undefined;
}

/** Asks for TLS before anything else is said: length, then a code in place of a version. */
const tlsRequest = Uint8Array.of(0, 0, 0, 8, 4, 210, 22, 47);
const accepted = "S".charCodeAt(0);

/**
 * A socket to which messages may be written; with TLS, after the server has agreed to it and shown a
 * certificate that is trusted. A server that refuses is never spoken to in plain text.
 *
 * @throws QmtlError CONFIG_INVALID if the server has no TLS on this port; the socket's error.
 */
export async function openPgSocket(endpoint: PgEndpoint, signal: AbortSignal): Promise<Socket> {
  const { host, port, tls } = endpoint;
  const plain = connect({ host, port, noDelay: true });
  if (tls === undefined) return plain;
  try {
    plain.write(tlsRequest);
    const said: readonly unknown[] = await once(plain, "data", { signal });
    if (!(said[0] instanceof Uint8Array) || said[0][0] !== accepted) {
      throw new QmtlError(
        "CONFIG_INVALID",
        `Cannot read rows: QuestDB at ${host}:${port} (PostgreSQL port) has no TLS there, wanted it as for questdbs://`,
        { host, port },
      );
    }
    const { ca } = tls;
    const name = isIP(host) === 0 ? { servername: host } : {};
    const secure = connectTls({
      socket: plain,
      host,
      ...name,
      ...(ca === undefined ? {} : { ca }),
    });
    await once(secure, "secureConnect", { signal });
    return secure;
  } catch (error) {
    plain.destroy();
    throw error;
  }
}
