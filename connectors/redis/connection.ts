import { Command, Pipeline, Redis, type RedisOptions } from "ioredis";
import { QmtlError, reasonOf, systemClock, toError } from "../../runtime/index.ts";
import { type RedisConfig, readCertificates, serverNameOf } from "./config.ts";
import { type Script } from "./scripts.ts";
import {
  isNotPermitted,
  isPassing,
  isReplyError,
  isScriptUnknown,
  refusal,
  unavailable,
} from "./store-error.ts";

/** An argument of a command; bytes go as they are, and may be reused once the call has settled. */
export type Argument = string | number | Uint8Array;

/** One command: its name and arguments, or a script with its keys. */
export type Request =
  | { readonly name: string; readonly args: readonly Argument[] }
  | {
      readonly script: Script;
      readonly keys: readonly string[];
      readonly args: readonly Argument[];
    };

/** Commands that go out together; the replies come in their order. */
export interface Call {
  /** What they are for, for messages: `commit the task "…"`. */
  readonly action: string;
  readonly commands: readonly Request[];
  /** True: tried again after a lost reply. False: what may have taken effect is reported instead. */
  readonly isRepeatable: boolean;
  /** True: that a command is not permitted is a reply like others, an `Error` in the list. */
  readonly takesRefusals?: boolean;
}

const backoffMsFirst = 20;
const backoffMsMax = 1_000;
/** The refusal of ioredis to write: the command never left. */
const neverSent = "Stream isn't writeable";
const timedOut = "Command timed out";
const bytesAsReply = { replyEncoding: null };

/**
 * One connection to one server that reconnects by itself, and calls that always end.
 *
 *   R1  A call settles within `retryMsMax` and one `commandTimeoutMs`, or when its signal aborts.
 *   R2  What may have been sent is sent again only if the call is repeatable. ioredis resends
 *       nothing: `maxRetriesPerRequest: 0` rejects all that waits for a reply when the connection is
 *       lost, and there is no offline queue, so calls wait here, where time and signal are seen.
 *   R3  A reply that does not come in time ends the connection: behind a dead peer it would only
 *       swallow the calls that follow.
 */
export class RedisConnection {
  readonly serverName: string;
  readonly #config: RedisConfig;
  readonly #client: Redis;
  readonly #waiters = new Set<() => void>();
  /** What the connection failed with last; undefined once it works. */
  #fault: Error | undefined;
  #isClosed = false;

  /** Begins to connect; the first call waits for it. */
  constructor(config: RedisConfig) {
    this.#config = config;
    this.serverName = serverNameOf(config);
    this.#client = new Redis(optionsOf(config));
    const wake = (): void => {
      for (const waiter of this.#waiters) waiter();
    };
    this.#client.on("connecting", () => {
      // A refused password or database is judged anew by each connection.
      if (isReplyError(this.#fault)) this.#fault = undefined;
    });
    this.#client.on("error", (error: Error) => {
      this.#fault = error;
      wake();
    });
    this.#client.on("ready", () => {
      if (!isReplyError(this.#fault)) this.#fault = undefined;
      wake();
    });
    this.#client.on("end", wake);
    // Failures to connect come as error events as well; the calls report them.
    this.#client.connect().catch(wake);
  }

  /**
   * Sends the commands of `call` and returns their replies: bytes for bulk strings.
   *
   * @throws QmtlError STORE_UNAVAILABLE (backoff), STORE_CLOSED, and what `refusal` names.
   */
  async execute(call: Call, signal: AbortSignal): Promise<readonly unknown[]> {
    const deadline = systemClock.now() + this.#config.retryMsMax;
    for (let attempt = 0; ; attempt += 1) {
      await this.#untilReady(call.action, deadline, signal);
      const replies = await this.#send(call, signal);
      const fault = faultOf(call, replies);
      if (fault === undefined) return replies;
      if (this.#isClosed) throw this.#closedError(call.action);
      const wait = backoffMs(attempt);
      const isLast = systemClock.now() + wait > deadline;
      if (isReplyError(fault)) {
        if (!isPassing(fault) || isLast) throw refusal(call.action, this.serverName, fault);
      } else {
        this.#lost(call, fault, isLast);
      }
      await systemClock.sleep(wait, signal);
    }
  }

  /** Ends the connection and rejects what waits for a reply. Safe to call twice; never throws. */
  close(): void {
    this.#isClosed = true;
    this.#client.disconnect();
    for (const waiter of this.#waiters) waiter();
  }

  /** No reply: the call may be sent again, unless it may have taken effect or its time is over. */
  #lost(call: Call, fault: Error, isLast: boolean): void {
    if (fault.message === timedOut) this.#client.disconnect(true);
    const isOutcomeUnknown = !call.isRepeatable && !fault.message.startsWith(neverSent);
    if (!isOutcomeUnknown && !isLast) return;
    throw unavailable(call.action, this.serverName, { cause: fault, isOutcomeUnknown });
  }

  async #send(call: Call, signal: AbortSignal): Promise<readonly unknown[]> {
    const replies = [...(await this.#pipeline(call.commands.map(bySha), signal))];
    const unknown = replies.flatMap((reply, i) => (isScriptUnknown(reply) ? [i] : []));
    if (unknown.length === 0) return replies;
    // The first call of each script brings its text, which the server keeps for the others.
    const brought = new Set<Script>();
    const again = unknown.map((i) => withText(call.commands[i], brought));
    const second = await this.#pipeline(again, signal);
    for (const [at, i] of unknown.entries()) replies[i] = second[at];
    return replies;
  }

  /** One write to the socket, one reply or error per command; never rejects but by the signal. */
  async #pipeline(
    commands: readonly (readonly Argument[])[],
    signal: AbortSignal,
  ): Promise<readonly unknown[]> {
    const [first, ...others] = commands.map(commandOf);
    if (first === undefined) return [];
    if (others.length === 0) {
      // Without a pipeline its bytes are copied once less.
      void this.#client.sendCommand(first);
      const reply: Promise<unknown> = first.promise;
      return [await orAborted(reply.catch(toError), signal)];
    }
    const pipeline = new Pipeline(this.#client);
    for (const command of [first, ...others]) pipeline.sendCommand(command);
    const answers = await orAborted(pipeline.exec(), signal);
    return (answers ?? []).map(([error, reply]) => error ?? reply);
  }

  async #untilReady(action: string, deadline: number, signal: AbortSignal): Promise<void> {
    for (;;) {
      signal.throwIfAborted();
      if (this.#isClosed) throw this.#closedError(action);
      const fault = this.#fault;
      if (isReplyError(fault) && !isPassing(fault)) throw refusal(action, this.serverName, fault);
      if (this.#client.status === "ready") return;
      const leftMs = deadline - systemClock.now();
      if (leftMs <= 0) {
        throw unavailable(action, this.serverName, { cause: fault, isOutcomeUnknown: false });
      }
      await this.#change(leftMs, signal);
    }
  }

  /** Resolves when the state of the connection has changed, or after `ms`. */
  async #change(ms: number, signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    const wake = (): void => resolve(undefined);
    const timer = setTimeout(wake, ms);
    this.#waiters.add(wake);
    try {
      await orAborted(promise, signal);
    } finally {
      clearTimeout(timer);
      this.#waiters.delete(wake);
    }
  }

  #closedError(action: string): QmtlError {
    return new QmtlError("STORE_CLOSED", `Cannot ${action}: the store is closed, wanted it open`);
  }
}

function optionsOf(config: RedisConfig): RedisOptions & { readonly replyMapping: "legacy" } {
  const { host, port, username, password, db } = config;
  return {
    host,
    port,
    db,
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(config.isTls ? { tls: tlsOf(config) } : {}),
    protocol: 2,
    replyMapping: "legacy",
    lazyConnect: true,
    enableOfflineQueue: false,
    enableReadyCheck: false,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    commandTimeout: config.commandTimeoutMs,
    connectTimeout: config.connectTimeoutMs,
    disconnectTimeout: 50,
    disableClientInfo: true,
    retryStrategy: (times) => backoffMs(times),
  };
}

function tlsOf(config: RedisConfig): NonNullable<RedisOptions["tls"]> {
  return config.tlsCa === undefined ? {} : { ca: readCertificates(config.tlsCa) };
}

/** Twice as long each time up to a limit, and somewhere in its upper half: clients spread out. */
function backoffMs(attempt: number): number {
  const full = Math.min(backoffMsFirst * 2 ** Math.min(attempt, 16), backoffMsMax);
  return full * (0.5 + Math.random() / 2);
}

/** Why the call has to be tried again or given up; undefined if its replies stand. */
function faultOf(call: Call, replies: readonly unknown[]): Error | undefined {
  // Those of a transaction are inside the reply to EXEC.
  const faults = replies.flat().filter((reply) => reply instanceof Error);
  const lost = faults.find((error) => !isReplyError(error));
  const takes = call.takesRefusals === true ? isNotPermitted : () => false;
  return lost ?? faults.find((error) => !takes(error));
}

function bySha(command: Request): readonly Argument[] {
  if ("name" in command) return [command.name, ...command.args];
  const { script, keys, args } = command;
  return ["EVALSHA", script.sha, keys.length, ...keys, ...args];
}

function withText(command: Request | undefined, brought: Set<Script>): readonly Argument[] {
  if (command === undefined || "name" in command) return [];
  const { script, keys, args } = command;
  if (brought.has(script)) return bySha(command);
  brought.add(script);
  return ["EVAL", script.text, keys.length, ...keys, ...args];
}

function commandOf([name = "", ...args]: readonly Argument[]): Command {
  const command = new Command(String(name), args.map(raw), bytesAsReply);
  // Bun's tracing channels do not tell that nobody listens, so ioredis would make text of all bytes
  // for them: 9 ms instead of 1.4 for a commit of 480 KB.
  command.isTraced = true;
  return command;
}

/** Bytes as a `Buffer` on the same memory, which ioredis tells from text. */
function raw(argument: Argument): string | number | Buffer {
  return argument instanceof Uint8Array
    ? Buffer.from(argument.buffer, argument.byteOffset, argument.byteLength)
    : argument;
}

/** `promise`, unless `signal` aborts first: then its reason, and the outcome is nobody's. */
async function orAborted<Value>(promise: Promise<Value>, signal: AbortSignal): Promise<Value> {
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  const stop = (): void => aborted.reject(reasonOf(signal));
  signal.addEventListener("abort", stop, { once: true });
  try {
    return await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}
