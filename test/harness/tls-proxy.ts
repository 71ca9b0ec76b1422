import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { connect, createServer as createTcpServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer as createTlsServer } from "node:tls";

/** A self-signed certificate of 127.0.0.1, and where its PEM files lie until it is disposed of. */
export interface Certificate extends Disposable {
  readonly key: string;
  readonly keyPath: string;
  readonly pem: string;
  readonly path: string;
}

/** Makes a certificate that nobody else has. */
export function newCertificate(): Certificate {
  const directory = mkdtempSync(join(tmpdir(), "qmtl-tls-"));
  const [keyPath, path] = [join(directory, "key.pem"), join(directory, "certificate.pem")];
  const line = `openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1 -keyout ${keyPath} -out ${path}`;
  const made = Bun.spawnSync(line.split(" "));
  if (!made.success) throw new Error(`Cannot make a certificate: ${made.stderr.toString()}`);
  const [key, pem] = [readFileSync(keyPath, "utf8"), readFileSync(path, "utf8")];
  const dispose = (): void => rmSync(directory, { recursive: true });
  return { key, keyPath, pem, path, [Symbol.dispose]: dispose };
}

/** Length and code of what a PostgreSQL client says before TLS begins. */
const tlsRequest = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]);

/**
 * A loopback proxy that ends TLS in front of a server which has none. With `postgres`, TLS begins
 * once the client has asked for it in the protocol's own way, as PostgreSQL's port does.
 */
export class TlsProxy implements AsyncDisposable {
  readonly #servers: Server[] = [];
  readonly #sockets = new Set<Socket>();
  /** What clients said, decrypted. */
  readonly #said: Buffer[] = [];

  static async start(
    targetPort: number,
    certificate: Certificate,
    form: "direct" | "postgres" = "direct",
  ): Promise<TlsProxy> {
    const proxy = new TlsProxy();
    const { key, pem } = certificate;
    const inner = createTlsServer({ key, cert: pem }, (client) => {
      const target = connect({ port: targetPort, host: "127.0.0.1" });
      client.on("data", (bytes: Buffer) => proxy.#said.push(Buffer.from(bytes)));
      proxy.#join(client, target);
    });
    await proxy.#listen(inner);
    if (form === "direct") return proxy;
    const innerPort = proxy.port;
    const outer = createTcpServer((client) => {
      proxy.#sockets.add(client);
      client.once("data", (bytes: Buffer) => {
        if (!bytes.equals(tlsRequest)) {
          client.destroy();
          return;
        }
        client.write("S");
        proxy.#join(client, connect({ port: innerPort, host: "127.0.0.1" }));
      });
    });
    await proxy.#listen(outer);
    return proxy;
  }

  /** Where clients connect. */
  get port(): number {
    const address = this.#servers.at(-1)?.address();
    return typeof address === "object" && address !== null ? address.port : 0;
  }

  /** What clients said so far, as text. */
  get said(): string {
    return Buffer.concat(this.#said).toString("latin1");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    for (const server of this.#servers) {
      await new Promise<void>((resolve) => server.close(() => resolve()));
    }
  }

  async #listen(server: Server): Promise<void> {
    this.#servers.push(server);
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen({ port: 0, host: "127.0.0.1" }, resolve);
    });
  }

  /** Bytes of each go to the other; with one, the other ends. */
  #join(client: Socket, target: Socket): void {
    for (const [from, to] of [
      [client, target],
      [target, client],
    ] as const) {
      this.#sockets.add(from);
      from.on("data", (bytes: Buffer) => to.write(bytes));
      from.on("error", () => to.destroy());
      from.on("close", () => {
        this.#sockets.delete(from);
        to.destroy();
      });
    }
  }
}
