import {
  type Commit,
  type CommitResult,
  type HistoryAppend,
  type LatestValue,
  type Pieces,
  QmtlError,
  type Restored,
  type StateStore,
} from "../../runtime/index.ts";
import { parseRedisUrl } from "./config.ts";
import { RedisConnection, type Request } from "./connection.ts";
import { durabilityWarnings } from "./durability.ts";
import { historyKey, latestKey, taskKeys } from "./keys.ts";
import {
  acquireScript,
  commitScript,
  dropScript,
  historyScript,
  latestScript,
  stageScript,
} from "./scripts.ts";

/** Bytes of state that one reply of a restore carries, roughly; a larger piece comes alone. */
const replyBytesMax = 2 ** 20;
/** Replies that are on their way while one is taken in: the server works meanwhile. */
const readAheadMax = 2;
/** Bytes of a delta that go to the script as an argument; a larger one is pushed before it. */
const argumentBytesMax = 16_384;
/** Commands in one write, and records in one append: neither client nor server is held for long. */
const batchCommandsMax = 1_000;
const appendValuesMax = 1_000;

/**
 * Opens `redis://[user:password@]host:port[/db]` or `rediss://…` (TLS). Any number of openers may
 * write: each call is one script, and epochs tell owners apart.
 *
 * @throws QmtlError CONFIG_INVALID for a URL it cannot read or a database the server does not have;
 *   STORE_UNAVAILABLE (backoff) if the server does not answer; STORE_AUTH_FAILED.
 */
export async function openState(url: string, signal: AbortSignal): Promise<StateStore> {
  signal.throwIfAborted();
  const connection = new RedisConnection(parseRedisUrl(url));
  try {
    return new RedisState(connection, await durabilityWarnings(connection, signal));
  } catch (error) {
    connection.close();
    throw error;
  }
}

/** What `acquire` learns before the bytes are read. */
interface Acquired {
  readonly epoch: number;
  readonly commit: number;
  readonly meta: Uint8Array | undefined;
  readonly logCount: number;
  readonly logBytes: number;
  /** Pieces of the base by index. */
  readonly pieces: readonly { readonly index: number; readonly bytes: number }[];
}

/**
 * Checkpoints in Redis. S1 to S3 hold because each write is one script. Base and log are read after
 * `acquire`, in replies of bounded size: the new epoch keeps the owner before from changing them,
 * and if a next owner took the task meanwhile, the read is refused at its end (S4).
 */
class RedisState implements StateStore {
  readonly warnings: readonly string[];
  readonly #connection: RedisConnection;

  constructor(connection: RedisConnection, warnings: readonly string[]) {
    this.#connection = connection;
    this.warnings = warnings;
  }

  async acquire(task: string, signal: AbortSignal): Promise<Restored> {
    const action = `acquire the task "${task}"`;
    const keys = taskKeys(task);
    const script = { script: acquireScript, keys: [keys.meta, keys.base, keys.log], args: [] };
    const acquired = acquiredOf(await this.#one(action, script, signal));
    const { epoch, commit, meta, pieces, logCount } = acquired;
    const base = groupsOf(pieces).map((some) => ({ name: "HMGET", args: [keys.base, ...some] }));
    const log = rangesOf(acquired).map((range) => ({ name: "LRANGE", args: [keys.log, ...range] }));
    const read = (commands: readonly Request[], count: number): Pieces =>
      this.#pieces({ action, task, epoch, commands, count }, signal);
    return { epoch, commit, meta, base: read(base, pieces.length), log: read(log, logCount) };
  }

  async stageBase(
    task: string,
    piece: { epoch: number; commit: number; index: number; bytes: Uint8Array },
    signal: AbortSignal,
  ): Promise<"OK" | "FENCED"> {
    const { meta, base } = taskKeys(task);
    const { epoch, commit, index, bytes } = piece;
    const args = [epoch, commit, index, bytes];
    const command = { script: stageScript, keys: [meta, `${base}.${commit}`], args };
    const reply = textOf(await this.#one(`stage a base of "${task}"`, command, signal));
    return reply === "FENCED" ? "FENCED" : "OK";
  }

  async commit(task: string, commit: Commit, signal: AbortSignal): Promise<CommitResult> {
    const action = `commit the task "${task}"`;
    const call = { action, commands: commitCommands(task, commit), isRepeatable: false };
    const replies = await this.#connection.execute(call, signal);
    return commitResultOf(action, textOf(replies.flat().at(-1)));
  }

  async drop(task: string, signal: AbortSignal): Promise<void> {
    const { meta, base, log } = taskKeys(task);
    const command = { script: dropScript, keys: [meta, base, log], args: [] };
    await this.#one(`drop the task "${task}"`, command, signal);
  }

  async putLatest(values: readonly LatestValue[], signal: AbortSignal): Promise<void> {
    const commands = values.map(({ nodeId, interval, ts, value }) => ({
      script: latestScript,
      keys: [latestKey(nodeId, interval)],
      args: [ts, value],
    }));
    await this.#all("put latest values", commands, signal);
  }

  async getLatest(
    nodeId: string,
    interval: string,
    signal: AbortSignal,
  ): Promise<LatestValue | undefined> {
    const read = { name: "HMGET", args: [latestKey(nodeId, interval), "ts", "value"] };
    const reply = await this.#one("get a latest value", read, signal);
    const [ts, value] = Array.isArray(reply) ? (reply as readonly unknown[]) : [];
    if (!(value instanceof Uint8Array)) return undefined;
    return { nodeId, interval, ts: numberOf(ts), value };
  }

  async appendHistory(appends: readonly HistoryAppend[], signal: AbortSignal): Promise<void> {
    await this.#all("append history", appends.flatMap(appendCommands), signal);
  }

  async getHistory(
    nodeId: string,
    interval: string,
    count: number,
    signal: AbortSignal,
  ): Promise<readonly Uint8Array[]> {
    // LRANGE from 0 to -1 is all there is: ask for the length instead.
    const read =
      count > 0
        ? { name: "LRANGE", args: [historyKey(nodeId, interval), 0, count - 1] }
        : { name: "LLEN", args: [historyKey(nodeId, interval)] };
    return listOf(await this.#one("get history", read, signal));
  }

  async close(): Promise<void> {
    this.#connection.close();
  }

  /** What `commands` read, in order, with some replies read ahead. */
  async *#pieces(read: PiecesRead, signal: AbortSignal): AsyncGenerator<Uint8Array, void> {
    const { action, task, epoch, commands, count } = read;
    const coming: Promise<unknown>[] = [];
    const ask = (command: Request | undefined): void => {
      if (command === undefined) return;
      const reply = this.#one(action, command, signal);
      // Those behind one that fails are never looked at.
      reply.catch(() => undefined);
      coming.push(reply);
    };
    let next = 0;
    let found = 0;
    while (next <= readAheadMax) ask(commands[next++]);
    while (coming.length > 0) {
      const pieces = listOf(await coming.shift());
      ask(commands[next++]);
      found += pieces.length;
      yield* pieces;
    }
    if (count === 0) return;
    const { meta } = taskKeys(task);
    const owner = await this.#one(action, { name: "HGET", args: [meta, "epoch"] }, signal);
    if (numberOf(owner) === epoch && found === count) return;
    throw new QmtlError(
      "CHECKPOINT_FENCED",
      `Cannot ${action}: another owner took it while it was read (epoch ${numberOf(owner)}), wanted to own it (epoch ${epoch})`,
      { task, epoch },
    );
  }

  /** One command that is safe to repeat. */
  async #one(action: string, command: Request, signal: AbortSignal): Promise<unknown> {
    const call = { action, commands: [command], isRepeatable: true };
    return (await this.#connection.execute(call, signal))[0];
  }

  /** Commands that are safe to repeat, in batches, one batch at a time. */
  async #all(action: string, commands: readonly Request[], signal: AbortSignal): Promise<void> {
    // An empty call still learns whether the store is open and the server answers.
    for (let from = 0; from === 0 || from < commands.length; from += batchCommandsMax) {
      const some = commands.slice(from, from + batchCommandsMax);
      const batch = some.length > 0 ? some : [{ name: "PING", args: [] }];
      await this.#connection.execute({ action, commands: batch, isRepeatable: true }, signal);
    }
  }
}

/** A base or a log to be read: `count` pieces by `commands`. */
interface PiecesRead {
  readonly action: string;
  readonly task: string;
  readonly epoch: number;
  readonly commands: readonly Request[];
  readonly count: number;
}

/** Only the newest `keep` are sent: those before them would be trimmed at once. */
function appendCommands(append: HistoryAppend): readonly Request[] {
  const { nodeId, interval, keep } = append;
  const keys = [historyKey(nodeId, interval)];
  const values = append.values.slice(-keep);
  const commands: Request[] = [];
  for (let from = 0; from < values.length; from += appendValuesMax) {
    const args = [keep, ...values.slice(from, from + appendValuesMax)];
    commands.push({ script: historyScript, keys, args });
  }
  return commands;
}

function acquiredOf(reply: unknown): Acquired {
  const [epoch, commit, meta, logCount, logBytes, ...pairs] = Array.isArray(reply)
    ? (reply as readonly unknown[])
    : [];
  const pieces: { index: number; bytes: number }[] = [];
  for (let i = 0; i < pairs.length; i += 2) {
    pieces.push({ index: numberOf(pairs[i]), bytes: numberOf(pairs[i + 1]) });
  }
  return {
    epoch: numberOf(epoch),
    commit: numberOf(commit),
    meta: meta instanceof Uint8Array ? meta : undefined,
    logCount: numberOf(logCount),
    logBytes: numberOf(logBytes),
    pieces: pieces.toSorted((a, b) => a.index - b.index),
  };
}

/** Indexes of `pieces` in groups that fit one reply. */
function groupsOf(pieces: Acquired["pieces"]): readonly (readonly number[])[] {
  const groups: number[][] = [];
  let room = 0;
  for (const { index, bytes } of pieces) {
    if (groups.length === 0 || bytes > room) {
      groups.push([]);
      room = replyBytesMax;
    }
    groups.at(-1)?.push(index);
    room -= bytes;
  }
  return groups;
}

/** First and last index of the deltas that fit one reply, by their mean size. */
function rangesOf({ logCount, logBytes }: Acquired): readonly (readonly [number, number])[] {
  const meanBytes = Math.max(1, logBytes / Math.max(1, logCount));
  const step = Math.max(1, Math.floor(replyBytesMax / meanBytes));
  const ranges: [number, number][] = [];
  for (let from = 0; from < logCount; from += step) {
    ranges.push([from, Math.min(from + step, logCount) - 1]);
  }
  return ranges;
}

/**
 * The commit's script; with a delta that is too large to be its argument, a transaction that pushes
 * it first. There the script goes as text: not to be known must not happen after the push.
 */
function commitCommands(task: string, commit: Commit): readonly Request[] {
  const { meta, base, log } = taskKeys(task);
  const { epoch, delta } = commit;
  const keys = [meta, base, log];
  const swaps = commit.swapsBase ? 1 : 0;
  const isPushed = delta.length > argumentBytesMax;
  if (!isPushed) {
    const args = [epoch, commit.commit, commit.meta, delta, swaps, 0, delta.length];
    return [{ script: commitScript, keys, args }];
  }
  const args = [epoch, commit.commit, commit.meta, "", swaps, 1, delta.length];
  return [
    { name: "MULTI", args: [] },
    { name: "RPUSH", args: [log, delta] },
    { name: "EVAL", args: [commitScript.text, keys.length, ...keys, ...args] },
    { name: "EXEC", args: [] },
  ];
}

function commitResultOf(action: string, reply: string): CommitResult {
  switch (reply) {
    case "OK":
    case "FENCED":
    case "DUP":
    case "GAP":
      return reply;
    default:
      throw new QmtlError(
        "STORE_UNAVAILABLE",
        `Cannot ${action}: the server replied "${reply}" (its log is not as it was left), wanted OK, FENCED, DUP or GAP`,
      );
  }
}

/** The byte strings of an array reply; those that are not there are left out. */
function listOf(reply: unknown): readonly Uint8Array[] {
  return Array.isArray(reply) ? reply.filter((value) => value instanceof Uint8Array) : [];
}

/** An integer reply, or digits as bytes; what is not there counts as 0. */
function numberOf(reply: unknown): number {
  return typeof reply === "number" ? reply : Number(textOf(reply));
}

function textOf(reply: unknown): string {
  return reply instanceof Uint8Array ? new TextDecoder().decode(reply) : "";
}
