import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isBusy, storeError } from "../../../connectors/sqlite/store-error.ts";
import { QmtlError } from "../../../runtime/index.ts";
import { scratchDirectory } from "../../harness/scratch.ts";

const directory = scratchDirectory();

/** What SQLite throws for `work` on the file `name`. */
function thrown(name: string, work: (path: string) => unknown): { path: string; error: unknown } {
  const path = join(directory, name);
  try {
    work(path);
  } catch (error) {
    return { path, error };
  }
  throw new Error("nothing was thrown");
}

const shown = ({ path, error }: { path: string; error: unknown }) => {
  const { code, message } = storeError("read it", path, error) as QmtlError;
  return [code, message.replace(/^.*, wanted /s, "")];
};

// SQLite itself makes the errors: its numbers are not repeated here.
test("what SQLite finds becomes a code and what was wanted instead", () => {
  const foreign = thrown("text.db", (path) => {
    writeFileSync(path, "no database at all, but a text that is long enough");
    new Database(path).run("SELECT * FROM sqlite_schema");
  });
  expect(shown(foreign)).toEqual([
    "STORE_CORRUPT",
    "a SQLite file (move it away, or name another path)",
  ]);
  const readOnly = thrown("read-only.db", (path) => {
    new Database(path).run("CREATE TABLE t (a)");
    new Database(path, { readonly: true }).run("INSERT INTO t VALUES (1)");
  });
  expect(shown(readOnly)).toEqual(["STORE_READ_ONLY", "a file that may be written"]);
  const full = thrown("full.db", (path) => {
    const database = new Database(path);
    database.run("CREATE TABLE t (a)");
    database.run("PRAGMA max_page_count = 2");
    database.run("INSERT INTO t VALUES (zeroblob(100000))");
  });
  expect(shown(full)).toEqual(["STORE_FULL", "free space for it"]);
  const folder = thrown("folder.db", (path) => {
    mkdirSync(path);
    return new Database(path);
  });
  expect(shown(folder)).toEqual(["CONFIG_INVALID", "a file, not a directory"]);
});

test("a lock that another holds is told apart", () => {
  const { error } = thrown("busy.db", (path) => {
    const [one, other] = [new Database(path), new Database(path)];
    one.run("BEGIN IMMEDIATE");
    other.run("BEGIN IMMEDIATE");
  });
  expect([isBusy(error), isBusy(new Error("busy"))]).toEqual([true, false]);
});

test("a full disk of the file system is the same; our own and unknown errors pass unchanged", () => {
  const noSpace = Object.assign(new Error("no space left"), { code: "ENOSPC" });
  expect(storeError("write", "/x", noSpace)).toMatchObject({ code: "STORE_FULL" });
  const own = new QmtlError("STORE_CLOSED", "Cannot read: it is closed");
  expect(storeError("read", "/x", own)).toBe(own);
  const other = new Error("something else");
  expect(storeError("read", "/x", other)).toBe(other);
});
