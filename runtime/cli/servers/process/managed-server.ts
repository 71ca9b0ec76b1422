import { rm } from "node:fs/promises";
import { join } from "node:path";
import { type DataDirectory } from "./data-directory.ts";
import { type ProcessSpec, ServerProcess } from "./server-process.ts";

/** What every server can be asked for. */
export interface StartOptions {
  /** Kept after `close`; without it a temporary directory, removed by `close` or when we end. */
  readonly dataDir?: string;
  /** The client port; without it a free one. */
  readonly port?: number;
  /** `test` (default) starts fast and small; `work` lets the JVM compile fully. */
  readonly purpose?: "test" | "work";
  /** True: it outlives this process (`qmtl up`). Default false: it dies with it. */
  readonly isDetached?: boolean;
  /** Told each process ID at once, before the server is ready, so that it can be written down. */
  readonly onSpawn?: (pid: number) => void;
}

/** A server of ours: real, on a loopback port, and ours to kill. */
export interface Server extends AsyncDisposable {
  /** What our connectors take: `redis://127.0.0.1:6379`. */
  readonly url: string;
  readonly port: number;
  readonly dataDir: string;
  readonly logPath: string;
  /** Process ID; 0 while it does not run. */
  readonly pid: number;
  /** `kill -9`; resolves when the process is gone. Data stay as they are. */
  kill9(): Promise<void>;
  /** SIGTERM, and SIGKILL after 15 s; resolves when the process is gone. */
  stop(): Promise<void>;
  /** SIGSTOP: connections stay open and nothing answers. */
  freeze(): void;
  /** SIGCONT. */
  thaw(): void;
  /**
   * Starts it again on the same data and port, after `stop` first if it runs; resolves when ready.
   *
   * @throws QmtlError SERVER_START_FAILED if it does not come up.
   */
  restart(): Promise<void>;
  /** Last lines it wrote, 40 by default. */
  logTail(lineCount?: number): string;
  /** Ends it and removes its temporary data. Safe to call twice; never throws. */
  close(): Promise<void>;
}

/** What tells one server from another. */
export interface ServerSpec
  extends Pick<ProcessSpec, "name" | "command" | "environment" | "isReady" | "readyMsMax"> {
  readonly url: string;
  readonly port: number;
  readonly data: DataDirectory;
  readonly options: StartOptions;
  /** Removed if we end without `close`; default: the data directory if it is temporary. */
  readonly removeAtEnd?: string;
}

/** One process behind the `Server` interface. */
export class ManagedServer implements Server {
  readonly url: string;
  readonly port: number;
  readonly dataDir: string;
  readonly logPath: string;
  readonly #data: DataDirectory;
  readonly #process: ServerProcess;

  constructor(spec: ServerSpec) {
    this.url = spec.url;
    this.port = spec.port;
    this.#data = spec.data;
    this.dataDir = spec.data.path;
    this.logPath = join(this.dataDir, `${spec.name}.log`);
    this.#process = new ServerProcess({
      ...spec,
      isDetached: spec.options.isDetached ?? false,
      onSpawn: spec.options.onSpawn,
      logPath: this.logPath,
      removeAtEnd: spec.removeAtEnd ?? (spec.data.isTemporary ? spec.data.path : undefined),
    });
  }

  get pid(): number {
    return this.#process.pid;
  }

  /** @throws QmtlError SERVER_START_FAILED, with a temporary directory removed again. */
  async start(): Promise<this> {
    try {
      await this.#process.start();
      return this;
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  async kill9(): Promise<void> {
    await this.#process.kill9();
  }

  async stop(): Promise<void> {
    await this.#process.stop();
  }

  freeze(): void {
    this.#process.freeze();
  }

  thaw(): void {
    this.#process.thaw();
  }

  async restart(): Promise<void> {
    await this.#process.stop();
    await this.#process.start();
  }

  logTail(lineCount = 40): string {
    return this.#process.logTail(lineCount);
  }

  async close(): Promise<void> {
    if (!this.#data.isTemporary) {
      await this.#process.stop();
      return;
    }
    await this.#process.kill9();
    await rm(this.dataDir, { recursive: true, force: true, maxRetries: 3 });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
