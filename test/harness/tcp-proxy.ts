import { connect, createServer, type Server, type Socket } from "node:net";

/** What the proxy does with bytes; changed at any time, for connections old and new. */
export interface Faults {
  /** `pass`; `drop` swallows what the server answers; `cut` swallows it and closes the connection. */
  readonly replies: "pass" | "drop" | "cut";
  /** `pass`; `hold` is a black hole: what the client sends goes nowhere, and nothing says so. */
  readonly requests: "pass" | "hold";
  /** `pass`; `refuse` resets a new connection at once; `silence` accepts it and connects nowhere. */
  readonly connections: "pass" | "refuse" | "silence";
  /** Each piece of data waits this long, in both directions; order is kept. */
  readonly delayMs: number;
  /** Bytes of replies a connection still gets before it is reset; Infinity: all. */
  readonly replyBytesMax: number;
}

/** Counts since the proxy was started. */
export interface ProxyCounts {
  readonly connections: number;
  readonly requestBytes: number;
  readonly replyBytes: number;
  /** Bytes of replies that the server sent and no client got. */
  readonly lostReplyBytes: number;
}

const noFaults: Faults = {
  replies: "pass",
  requests: "pass",
  connections: "pass",
  delayMs: 0,
  replyBytesMax: Number.POSITIVE_INFINITY,
};

interface Pair {
  readonly client: Socket;
  readonly upstream: Socket;
  replyBytes: number;
}

/**
 * A loopback TCP proxy in front of a real server, for what only a network does: a reply that is
 * lost although the request took effect, delays, a black hole, a reset, a half-open connection,
 * a reply cut in its middle.
 *
 * @example
 * await using proxy = await TcpProxy.start(server.port);
 * proxy.set({ replies: "cut" });            // each request runs, each reply is lost
 * await proxy.until((c) => c.lostReplyBytes > 0);
 * proxy.heal();
 */
export class TcpProxy implements AsyncDisposable {
  readonly #targetPort: number;
  readonly #server: Server;
  readonly #pairs = new Set<Pair>();
  readonly #silent = new Set<Socket>();
  readonly #timers = new Set<ReturnType<typeof setTimeout>>();
  readonly #watchers = new Set<() => void>();
  readonly #counts = { connections: 0, requestBytes: 0, replyBytes: 0, lostReplyBytes: 0 };
  #faults = noFaults;

  /** Proxies a free loopback port to 127.0.0.1:`targetPort`, which need not be open yet. */
  static async start(targetPort: number): Promise<TcpProxy> {
    const proxy = new TcpProxy(targetPort);
    await new Promise<void>((resolve, reject) => {
      proxy.#server.once("error", reject);
      proxy.#server.listen({ port: 0, host: "127.0.0.1" }, resolve);
    });
    return proxy;
  }

  private constructor(targetPort: number) {
    this.#targetPort = targetPort;
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (client) =>
      this.#accept(client),
    );
  }

  /** Where clients connect. */
  get port(): number {
    const address = this.#server.address();
    return typeof address === "object" && address !== null ? address.port : 0;
  }

  get counts(): ProxyCounts {
    return { ...this.#counts };
  }

  /** Changes what is named and leaves the rest. */
  set(faults: Partial<Faults>): void {
    this.#faults = { ...this.#faults, ...faults };
  }

  /** No faults from now on; connections that were cut stay cut. */
  heal(): void {
    this.#faults = noFaults;
  }

  /** Resets (RST) every connection, on both sides. */
  reset(): void {
    for (const pair of this.#pairs) this.#drop(pair);
    for (const client of this.#silent) client.resetAndDestroy();
  }

  /** Half-open: the server's side is gone, and no client is told. */
  halfOpen(): void {
    for (const pair of this.#pairs) {
      this.#pairs.delete(pair);
      this.#silent.add(pair.client);
      pair.upstream.removeAllListeners("close");
      pair.upstream.destroy();
    }
  }

  /** Resolves once `condition` holds; rejects after `timeoutMs` (10 s by default). */
  async until(condition: (counts: ProxyCounts) => boolean, timeoutMs = 10_000): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const check = (): void => {
        if (!condition(this.counts)) return;
        clearTimeout(timer);
        this.#watchers.delete(check);
        resolve();
      };
      const timer = setTimeout(() => {
        this.#watchers.delete(check);
        reject(
          new Error(`The proxy's counts are ${JSON.stringify(this.counts)} after ${timeoutMs} ms`),
        );
      }, timeoutMs);
      this.#watchers.add(check);
      check();
    });
  }

  /** Ends all connections and stops listening. Safe to call twice. */
  async close(): Promise<void> {
    for (const timer of this.#timers) clearTimeout(timer);
    this.reset();
    if (!this.#server.listening) return;
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #accept(client: Socket): void {
    this.#count("connections", 1);
    client.on("error", () => client.destroy());
    if (this.#faults.connections === "refuse") {
      client.resetAndDestroy();
      return;
    }
    if (this.#faults.connections === "silence") {
      this.#silent.add(client);
      client.once("close", () => this.#silent.delete(client));
      client.resume();
      return;
    }
    const upstream = connect({
      port: this.#targetPort,
      host: "127.0.0.1",
      allowHalfOpen: true,
      noDelay: true,
    });
    const pair: Pair = { client, upstream, replyBytes: 0 };
    this.#pairs.add(pair);
    upstream.on("error", () => this.#drop(pair));
    client.on("data", (bytes: Buffer) => this.#request(pair, bytes));
    upstream.on("data", (bytes: Buffer) => this.#reply(pair, bytes));
    client.on("end", () => this.#later(() => upstream.end()));
    upstream.on("end", () => this.#later(() => client.end()));
    client.once("close", () => this.#drop(pair));
    upstream.once("close", () => this.#drop(pair));
  }

  #request({ upstream }: Pair, bytes: Buffer): void {
    this.#count("requestBytes", bytes.length);
    if (this.#faults.requests === "hold") return;
    this.#later(() => upstream.write(bytes));
  }

  #reply(pair: Pair, bytes: Buffer): void {
    const { replies, replyBytesMax } = this.#faults;
    const room = Math.max(0, replyBytesMax - pair.replyBytes);
    const kept = replies === "pass" ? bytes.subarray(0, Math.min(room, bytes.length)) : undefined;
    const lost = bytes.length - (kept?.length ?? 0);
    if (kept !== undefined && kept.length > 0) {
      pair.replyBytes += kept.length;
      this.#later(() => pair.client.write(kept));
    }
    const isTruncated = kept !== undefined && lost > 0;
    // The bytes before the cut must have left, so an orderly end after them, not a reset.
    if (isTruncated) this.#later(() => pair.client.end(() => this.#drop(pair)));
    if (replies === "cut") this.#drop(pair);
    this.#count("replyBytes", bytes.length);
    this.#count("lostReplyBytes", lost);
  }

  /** Runs `action` after the delay; timers of one length fire in the order they were set. */
  #later(action: () => void): void {
    const { delayMs } = this.#faults;
    if (delayMs === 0 && this.#timers.size === 0) {
      action();
      return;
    }
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      action();
    }, delayMs);
    this.#timers.add(timer);
  }

  #drop(pair: Pair): void {
    if (!this.#pairs.delete(pair)) return;
    pair.client.resetAndDestroy();
    pair.upstream.destroy();
  }

  #count(name: keyof ProxyCounts, amount: number): void {
    this.#counts[name] += amount;
    for (const check of this.#watchers) check();
  }
}
