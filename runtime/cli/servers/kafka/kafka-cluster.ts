import { rm } from "node:fs/promises";
import { type DataDirectory } from "../process/data-directory.ts";
import { type ManagedServer, type Server } from "../process/managed-server.ts";
import { type KafkaListener } from "./kafka-listeners.ts";

/** What a cluster is made of. */
export interface ClusterParts {
  readonly servers: readonly ManagedServer[];
  readonly data: DataDirectory;
  readonly addresses: ReadonlyMap<KafkaListener, readonly string[]>;
  readonly certificatePem: string | undefined;
}

/**
 * One or three brokers that start, freeze and end together; each can be killed alone as
 * `brokers[i]`. `port`, `pid` and `logPath` are the first broker's.
 */
export class KafkaCluster implements Server {
  readonly url: string;
  readonly port: number;
  readonly dataDir: string;
  readonly logPath: string;
  /** Each broker as a server of its own. */
  readonly brokers: readonly Server[];
  /** What a client of the TLS listeners trusts; undefined if there are none. */
  readonly certificatePem: string | undefined;
  readonly #parts: ClusterParts;
  readonly #first: ManagedServer;

  constructor(parts: ClusterParts) {
    const first = parts.servers[0];
    if (first === undefined)
      throw new RangeError("Cannot make a cluster: no broker, wanted 1 or 3");
    this.#first = first;
    this.#parts = parts;
    this.brokers = parts.servers;
    this.certificatePem = parts.certificatePem;
    this.url = `kafka://${this.addresses("plaintext").join(",")}`;
    this.port = first.port;
    this.dataDir = parts.data.path;
    this.logPath = first.logPath;
  }

  get pid(): number {
    return this.#first.pid;
  }

  /**
   * `host:port` of each broker for clients that connect by `listener`.
   *
   * @throws RangeError if the cluster was started without it.
   */
  addresses(listener: KafkaListener): readonly string[] {
    const found = this.#parts.addresses.get(listener);
    if (found === undefined) {
      const had = [...this.#parts.addresses.keys()].join(", ");
      throw new RangeError(`Cannot connect by "${listener}": the cluster has ${had}`);
    }
    return found;
  }

  /** @throws QmtlError SERVER_START_FAILED if a broker does not come up; the others are ended. */
  async start(): Promise<this> {
    try {
      await this.#startAll();
      return this;
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  async kill9(): Promise<void> {
    await this.#each(async (server) => await server.kill9());
  }

  async stop(): Promise<void> {
    await this.#each(async (server) => await server.stop());
  }

  freeze(): void {
    for (const server of this.brokers) server.freeze();
  }

  thaw(): void {
    for (const server of this.brokers) server.thaw();
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.#startAll();
  }

  logTail(lineCount = 40): string {
    return this.brokers.map((server) => server.logTail(lineCount)).join("\n");
  }

  async close(): Promise<void> {
    if (!this.#parts.data.isTemporary) {
      await this.stop();
      return;
    }
    await this.kill9();
    await rm(this.dataDir, { recursive: true, force: true, maxRetries: 3 });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Waits for all, then fails with the first failure: none is left starting behind our back. */
  async #startAll(): Promise<void> {
    const results = await Promise.allSettled(
      this.#parts.servers.map(async (server) => await server.start()),
    );
    for (const result of results) {
      if (result.status === "rejected") throw result.reason;
    }
  }

  async #each(action: (server: ManagedServer) => Promise<void>): Promise<void> {
    await Promise.all(this.#parts.servers.map(action));
  }
}
