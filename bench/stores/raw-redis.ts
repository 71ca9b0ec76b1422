import { connect, type Socket } from "node:net";

/**
 * A socket to Redis that sends bytes as they are and drops what comes back: nothing that speaks to
 * the server does less. One call at a time.
 */
export class RawRedis {
  readonly #socket: Socket;
  #onBytes: (bytes: Buffer) => void = () => undefined;
  #onFault: (error: Error) => void = () => undefined;

  constructor(port: number) {
    this.#socket = connect({ port, host: "127.0.0.1", noDelay: true });
    this.#socket.on("data", (bytes: Buffer) => this.#onBytes(bytes));
    this.#socket.on("error", (error) => this.#onFault(error));
  }

  /** Sends a command of one line; its reply is one line. @throws Error if that is an error. */
  async call(...words: readonly (string | Uint8Array)[]): Promise<string> {
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    let reply = "";
    this.#onFault = reject;
    this.#onBytes = (bytes) => {
      reply += bytes.toString("latin1");
      if (!reply.endsWith("\r\n")) return;
      if (reply.startsWith("-")) reject(new Error(reply.trim()));
      else resolve(reply.trim());
    };
    this.#send(words);
    return await promise;
  }

  /** Bytes of the value under `key`, which are dropped as they come. */
  async get(key: string): Promise<number> {
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    let head = "";
    let length = -1;
    let left = 0;
    this.#onFault = reject;
    this.#onBytes = (bytes) => {
      left -= bytes.length;
      if (length < 0) {
        head += bytes.toString("latin1", 0, 32);
        const end = head.indexOf("\r\n");
        if (end < 0) return;
        length = Number(head.slice(1, end));
        left += end + 2 + length + 2;
      }
      if (left === 0) resolve(length);
    };
    this.#send(["GET", key]);
    return await promise;
  }

  close(): void {
    this.#socket.destroy();
  }

  #send(words: readonly (string | Uint8Array)[]): void {
    const socket = this.#socket;
    socket.cork();
    socket.write(`*${words.length}\r\n`);
    for (const word of words) {
      socket.write(`$${Buffer.byteLength(word)}\r\n`);
      socket.write(word);
      socket.write("\r\n");
    }
    socket.uncork();
  }
}
