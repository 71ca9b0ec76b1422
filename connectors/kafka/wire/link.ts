import { errorText, QmtlError, reasonOf } from "../../../runtime/index.ts";
import { addressText, type BrokerAddress } from "./address.ts";

/** TLS of a connection; the server's certificate is always checked. */
export interface TlsSettings {
  /** PEM of the authorities to trust instead of the system's. */
  readonly ca: string | undefined;
  readonly cert: string | undefined;
  readonly key: string | undefined;
  /** Name the certificate must have; the host's by default. */
  readonly serverName: string | undefined;
}

/** What a link reports. After `onClose`, which comes once, nothing follows. */
export interface LinkEvents {
  /** `chunk` is valid until this returns. */
  onData(chunk: Uint8Array): void;
  onClose(reason: QmtlError): void;
}

/** How to connect. */
export interface LinkOptions {
  readonly address: BrokerAddress;
  readonly tls: TlsSettings | undefined;
  readonly events: LinkEvents;
}

type Socket = Bun.Socket;

/**
 * A TCP or TLS connection that takes every write: what the kernel has no room for waits here, and
 * the caller's bound on requests in flight bounds it.
 */
export class Link {
  readonly #address: BrokerAddress;
  readonly #events: LinkEvents;
  #socket: Socket | undefined;
  #waiting: Uint8Array[] = [];
  #isClosed = false;

  /**
   * Resolves once bytes may be written, with TLS after the certificate was checked.
   *
   * @throws QmtlError TRANSPORT_UNAVAILABLE, or TRANSPORT_AUTH_FAILED for a refused certificate;
   *   the reason of `signal` if that aborts first.
   */
  static async open(options: LinkOptions, signal: AbortSignal): Promise<Link> {
    signal.throwIfAborted();
    const link = new Link(options);
    const ready = Promise.withResolvers<undefined>();
    const stop = (): void => {
      ready.reject(reasonOf(signal));
    };
    signal.addEventListener("abort", stop, { once: true });
    try {
      link.#connect(options.tls, ready);
      await ready.promise;
      return link;
    } catch (error) {
      link.destroy();
      throw error;
    } finally {
      signal.removeEventListener("abort", stop);
    }
  }

  private constructor({ address, events }: LinkOptions) {
    this.#address = address;
    this.#events = events;
  }

  /** Sends `bytes`, which are copied if the kernel does not take them all at once. */
  write(bytes: Uint8Array): void {
    if (this.#isClosed) return;
    const taken = this.#waiting.length > 0 ? 0 : Math.max(0, this.#socket?.write(bytes) ?? 0);
    if (taken < bytes.length) this.#waiting.push(new Uint8Array(bytes.subarray(taken)));
  }

  /** Closes at once and without events; safe to call twice. */
  destroy(): void {
    this.#isClosed = true;
    this.#waiting = [];
    this.#socket?.terminate();
  }

  #connect(tls: TlsSettings | undefined, ready: PromiseWithResolvers<undefined>): void {
    const { host, port } = this.#address;
    // Without a listener a rejection would end the process; `ready` has it all the same.
    ready.promise.catch(() => undefined);
    const fail = (error: QmtlError): void => {
      ready.reject(error);
      this.#close(error);
    };
    const socket: Bun.SocketHandler<undefined> = {
      binaryType: "uint8array",
      open: (opened) => {
        this.#socket = opened;
        // It came up after the caller had given up.
        if (this.#isClosed) opened.terminate();
        else if (tls === undefined) ready.resolve(undefined);
        opened.setNoDelay(true);
      },
      handshake: (_socket, isTrusted, error) => {
        if (isTrusted) ready.resolve(undefined);
        else fail(this.#refused(error));
      },
      data: (_socket, chunk) => {
        if (!this.#isClosed) this.#events.onData(chunk);
        release(chunk);
      },
      drain: () => this.#drain(),
      close: () => fail(this.#unavailable("the broker closed the connection")),
      error: (_socket, error) => fail(this.#unavailable(errorText(error))),
      connectError: (_socket, error) => fail(this.#unavailable(errorText(error))),
    };
    const secure = tls === undefined ? {} : { tls: tlsOptions(tls) };
    Bun.connect({ hostname: host, port, socket, ...secure }).catch((error: unknown) => {
      fail(this.#unavailable(errorText(error)));
    });
  }

  #drain(): void {
    while (!this.#isClosed) {
      const bytes = this.#waiting[0];
      if (bytes === undefined) return;
      const taken = Math.max(0, this.#socket?.write(bytes) ?? 0);
      if (taken < bytes.length) {
        this.#waiting[0] = bytes.subarray(taken);
        return;
      }
      this.#waiting.shift();
    }
  }

  #close(error: QmtlError): void {
    if (this.#isClosed) return;
    this.destroy();
    this.#events.onClose(error);
  }

  #unavailable(found: string): QmtlError {
    const broker = addressText(this.#address);
    return new QmtlError(
      "TRANSPORT_UNAVAILABLE",
      `Cannot talk to the broker ${broker}: ${found}, wanted an open connection`,
      { broker },
    );
  }

  #refused(error: Error | null): QmtlError {
    const broker = addressText(this.#address);
    const found = error === null ? "TLS failed" : errorText(error);
    const isCertificate = error !== null && "code" in error && certificateFault(error.code);
    return new QmtlError(
      isCertificate ? "TRANSPORT_AUTH_FAILED" : "TRANSPORT_UNAVAILABLE",
      `Cannot trust the broker ${broker}: ${found}, wanted a certificate that tlsCa vouches for`,
      { broker },
      error ?? undefined,
    );
  }
}

/**
 * Gives a chunk's memory back at once, so that the next one lands on the same pages. Left to the
 * collector, a fetch of 2 M records touched three times as many pages and took a quarter longer.
 */
function release(chunk: Uint8Array): void {
  const { buffer } = chunk;
  if (buffer instanceof ArrayBuffer && buffer.byteLength === chunk.length) buffer.transfer(0);
}

/** Codes of OpenSSL and of the name check; a handshake that was cut off has another. */
function certificateFault(code: unknown): boolean {
  return typeof code === "string" && /CERT|SIGN|CRL|ISSUER|ALTNAME|VERIF|CA_|CHAIN/.test(code);
}

function tlsOptions({ ca, cert, key, serverName }: TlsSettings): Bun.TLSOptions {
  return {
    rejectUnauthorized: true,
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(serverName === undefined ? {} : { serverName }),
  };
}
