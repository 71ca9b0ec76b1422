import { type ErrorCode, errorText, QmtlError } from "../../runtime/index.ts";

/** What Redis' error words mean to the caller, and what was wanted instead. */
const meaningOf: ReadonlyMap<string, readonly [ErrorCode, string]> = new Map([
  ["NOAUTH", ["STORE_AUTH_FAILED", "a user and password in the URL"]],
  ["WRONGPASS", ["STORE_AUTH_FAILED", "a user and password that the server knows"]],
  ["NOPERM", ["STORE_AUTH_FAILED", "a user that may run this on keys qmtl:ckpt:* and node:*"]],
  ["OOM", ["STORE_FULL", "free memory (maxmemory) for it"]],
  ["READONLY", ["STORE_READ_ONLY", "the primary, not a replica"]],
  ["MOVED", ["STORE_REJECTED", "a server that is not part of a cluster"]],
  ["ASK", ["STORE_REJECTED", "a server that is not part of a cluster"]],
  ["CROSSSLOT", ["STORE_REJECTED", "a server that is not part of a cluster"]],
  ["WRONGTYPE", ["STORE_CORRUPT", "keys that only this store writes"]],
  ["CORRUPT", ["STORE_CORRUPT", "all that was committed (drop the task to begin again)"]],
  ["LOADING", ["STORE_UNAVAILABLE", "a server that has loaded its data"]],
  ["BUSY", ["STORE_UNAVAILABLE", "a server that is not kept busy by a script"]],
  ["MASTERDOWN", ["STORE_UNAVAILABLE", "a primary that is up"]],
  ["CLUSTERDOWN", ["STORE_UNAVAILABLE", "a cluster that is up"]],
  ["TRYAGAIN", ["STORE_UNAVAILABLE", "a cluster that is not moving the key"]],
  ["NOREPLICAS", ["STORE_UNAVAILABLE", "enough replicas (min-replicas-to-write)"]],
  ["MISCONF", ["STORE_UNAVAILABLE", "a server that can write to its disk"]],
  ["NOSCRIPT", ["STORE_UNAVAILABLE", "a server that keeps the scripts it was given"]],
]);

/** An error that is the server's reply, as ioredis names it. */
export interface ReplyError extends Error {
  readonly name: "ReplyError";
}

/** True if the server answered with an error: it refused, and the command changed nothing. */
export function isReplyError(error: unknown): error is ReplyError {
  return error instanceof Error && error.name === "ReplyError";
}

/** True if the server refused for now: the same command may succeed soon. */
export function isPassing(error: Error): boolean {
  return meaningFor(error)[0] === "STORE_UNAVAILABLE";
}

/** True if this user may not run the command, or the server has it under no such name. */
export function isNotPermitted(error: Error): boolean {
  return wordOf(error) === "NOPERM" || error.message.startsWith("ERR unknown command");
}

/** True if the server does not know the script that was called by its hash. */
export function isScriptUnknown(error: unknown): boolean {
  return isReplyError(error) && wordOf(error) === "NOSCRIPT";
}

/** The server's refusal of `action`, in one line with a code. */
export function refusal(action: string, server: string, error: Error): QmtlError {
  const [code, wanted] = meaningFor(error);
  const message = `Cannot ${action}: ${server} replied "${error.message}", wanted ${wanted}`;
  return new QmtlError(code, message, { server, reply: error.message });
}

/** No answer: the server could not be reached, or the reply did not come. */
export function unavailable(
  action: string,
  server: string,
  fault: { readonly cause: unknown; readonly isOutcomeUnknown: boolean },
): QmtlError {
  const { cause, isOutcomeUnknown } = fault;
  const found = `${server} gave no answer (${causeText(cause)})`;
  const outcome = isOutcomeUnknown ? "; whether it took effect is not known" : "";
  return new QmtlError(
    "STORE_UNAVAILABLE",
    `Cannot ${action}: ${found}, wanted one${outcome}`,
    { server, isOutcomeUnknown },
    cause,
  );
}

/** A script's refusal carries the word of the command in it that was refused. */
function wordOf(error: Error): string {
  const first = /^[A-Z]+/.exec(error.message)?.[0] ?? "";
  if (first !== "ERR") return first;
  return /@user_script: ?\d*: ?-?([A-Z]+) /.exec(error.message)?.[1] ?? first;
}

function meaningFor(error: Error): readonly [ErrorCode, string] {
  const found = meaningOf.get(wordOf(error));
  if (found !== undefined) return found;
  if (error.message.includes("The user executing the script can't run this command")) {
    return ["STORE_AUTH_FAILED", "a user that may run the commands in it"];
  }
  if (error.message.includes("DB index")) {
    return ["CONFIG_INVALID", "a database that the server has"];
  }
  if (error.message.includes("max number of clients")) {
    return ["STORE_UNAVAILABLE", "room for one more client (maxclients)"];
  }
  return ["STORE_REJECTED", "a Redis of version 6.2 or later"];
}

/** ioredis' errors say what it did; this says what happened. */
function causeText(cause: unknown): string {
  if (cause === undefined) return "not connected";
  const text = errorText(cause);
  if (text === "Command timed out") return "no reply in time";
  if (text.startsWith("Reached the max retries per request limit")) {
    return "the connection was lost before the reply";
  }
  return text === "Connection is closed." ? "the connection was closed" : text;
}
