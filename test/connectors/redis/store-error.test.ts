import { expect, test } from "bun:test";
import {
  isNotPermitted,
  isPassing,
  isReplyError,
  isScriptUnknown,
  refusal,
  unavailable,
} from "../../../connectors/redis/store-error.ts";

/** An error as ioredis makes it of a server's reply. */
const reply = (message: string): Error => Object.assign(new Error(message), { name: "ReplyError" });

// The replies are the server's own words.
test("a reply's first word decides the code, a script's the word of the command in it", () => {
  for (const [message, code] of [
    ["OOM command not allowed when used memory > 'maxmemory'.", "STORE_FULL"],
    ["READONLY You can't write against a read only replica.", "STORE_READ_ONLY"],
    ["NOAUTH Authentication required.", "STORE_AUTH_FAILED"],
    ["LOADING Redis is loading the dataset in memory", "STORE_UNAVAILABLE"],
    ["WRONGTYPE Operation against a key holding the wrong kind of value", "STORE_CORRUPT"],
    ["MOVED 3999 127.0.0.1:6381", "STORE_REJECTED"],
    [
      "ERR Error running script (call to f_1): @user_script:1: -OOM command not allowed",
      "STORE_FULL",
    ],
    ["ERR DB index is out of range", "CONFIG_INVALID"],
    ["ERR max number of clients reached", "STORE_UNAVAILABLE"],
    ["ERR unknown command 'FROB'", "STORE_REJECTED"],
  ] as const) {
    expect([message, refusal("commit", "redis://h:1", reply(message)).code]).toEqual([
      message,
      code,
    ]);
  }
  expect(refusal("commit", "redis://h:1", reply("READONLY x")).message).toBe(
    'Cannot commit: redis://h:1 replied "READONLY x", wanted the primary, not a replica',
  );
});

test("what passes by itself, what is not permitted and a script that is not known are told apart", () => {
  expect([
    isPassing(reply("BUSY Redis is busy running a script.")),
    isPassing(reply("OOM x")),
  ]).toEqual([true, false]);
  expect([
    isNotPermitted(reply("NOPERM no permissions")),
    isNotPermitted(reply("ERR unknown command 'WAITAOF'")),
  ]).toEqual([true, true]);
  expect(isNotPermitted(reply("ERR syntax error"))).toBe(false);
  expect(isScriptUnknown(reply("NOSCRIPT No matching script."))).toBe(true);
  expect(isScriptUnknown(new Error("NOSCRIPT No matching script."))).toBe(false);
  expect([isReplyError(reply("x")), isReplyError(new Error("x")), isReplyError("x")]).toEqual([
    true,
    false,
    false,
  ]);
});

test("without an answer it is said what happened, and whether the outcome is known", () => {
  const told = (cause: unknown, isOutcomeUnknown = false) =>
    unavailable("commit", "redis://h:1", { cause, isOutcomeUnknown }).message;
  expect(told(undefined)).toBe(
    "Cannot commit: redis://h:1 gave no answer (not connected), wanted one",
  );
  expect(told(new Error("Command timed out"))).toContain("(no reply in time)");
  expect(told(new Error("Connection is closed."), true)).toBe(
    "Cannot commit: redis://h:1 gave no answer (the connection was closed), wanted one; whether it took effect is not known",
  );
});
