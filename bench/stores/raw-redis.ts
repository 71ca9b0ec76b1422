import { connect, type Socket } from "node:net";

/**
 * A socket to Redis that sends bytes as they are and does not look at what comes back: nothing that
 * speaks to the server does less. One call at a time.
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

  /** Copies the value under `key` to the start of `target` as it comes; how many bytes it has. */
  async get(key: string, target: Uint8Array): Promise<number> {
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    let length = -1;
    let read = 0;
    this.#onFault = reject;
    this.#onBytes = (bytes) => {
      let from = 0;
      if (length < 0) {
        // The head is one line of a few bytes, which come at once.
        from = bytes.indexOf("\r\n") + 2;
        length = Number(bytes.toString("latin1", 1, from - 2));
      }
      const some = bytes.subarray(from, from + Math.max(0, length - read));
      target.set(some, Math.min(read, length));
      read += bytes.length - from;
      if (read === length + 2) resolve(length);
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
