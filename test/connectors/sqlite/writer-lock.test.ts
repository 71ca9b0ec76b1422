import { expect, test } from "bun:test";
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { WriterLock } from "../../../connectors/sqlite/writer-lock.ts";
import { scratchDirectory } from "../../harness/scratch.ts";

const directory = scratchDirectory();

function codeOf(take: () => unknown): unknown {
  try {
    take();
  } catch (error) {
    return error;
  }
  return undefined;
}

test("one writer at a time; the next comes in when it lets go", () => {
  const path = join(directory, "one.db");
  const lock = WriterLock.take(path);
  expect(codeOf(() => WriterLock.take(path))).toMatchObject({
    code: "STORE_LOCKED",
    message: `Cannot write "${path}": another writer has it open, wanted one writer at a time`,
  });
  lock.release();
  WriterLock.take(path).release();
  // The file stays: removing it would race with the next writer. The store itself is not touched.
  expect([existsSync(`${path}.lock`), existsSync(path)]).toEqual([true, false]);
});

test("two stores have two locks, and a lock that cannot be made is named by its reason", () => {
  const locks = ["a.db", "b.db"].map((name) => WriterLock.take(join(directory, name)));
  for (const lock of locks) lock.release();
  mkdirSync(join(directory, "taken.db.lock"));
  expect(codeOf(() => WriterLock.take(join(directory, "taken.db")))).toMatchObject({
    code: "CONFIG_INVALID",
  });
});
