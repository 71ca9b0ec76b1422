import { Database } from "bun:sqlite";
import { afterAll, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openHistory } from "../../../connectors/sqlite/index.ts";
import {
  type HistoryOpenOptions,
  type HistoryStore,
  newColumnBatch,
  type Series,
} from "../../../runtime/index.ts";
import { failureOf } from "../../contract/failure-of.ts";
import { runHistoryStoreSuite } from "../../contract/history-store.suite.ts";

const signal = AbortSignal.timeout(120_000);
const directory = mkdtempSync(join(tmpdir(), "qmtl-history-"));
let files = 0;

afterAll(() => rmSync(directory, { recursive: true }));

const freshPath = (): string => join(directory, `${(files += 1)}.db`);
const open = async (
  path: string,
  options: Partial<HistoryOpenOptions> = {},
): Promise<HistoryStore> =>
  await openHistory(`sqlite:${path}`, { mode: "write", isSimulated: false, ...options }, signal);

runHistoryStoreSuite({
  name: "sqlite history",
  isDurable: true,
  histories: 50,
  async create() {
    const parent = mkdtempSync(join(directory, "suite-"));
    return {
      open: async (options) => await open(join(parent, "a b'c", "history.db"), options),
      dispose: async () => rmSync(parent, { recursive: true }),
    };
  },
});

const minute = 60_000;
const always = { start: 0, end: Number.MAX_SAFE_INTEGER };
const series: Series = {
  nodeId: "0".repeat(32),
  definitionId: "1".repeat(32),
  key: "BTCUSDT",
  interval: "1m",
  schema: { price: "f64", trades: "u64" },
};

/** Bars `from` to `to` of 1970, price = 2 × bar, trades = 3 × bar. */
function pageOf(from: number, to: number): Parameters<HistoryStore["persist"]>[1] {
  const rows = newColumnBatch(to - from, 2);
  for (let i = 0; i < rows.count; i += 1) {
    rows.ts[i] = (from + i) * minute;
    rows.columns[0]![i] = 2 * (from + i);
    rows.columns[1]![i] = 3 * (from + i);
  }
  return { rows, have: [{ start: from * minute, end: to * minute }], empty: [] };
}

async function barsOf(store: HistoryStore): Promise<number[]> {
  const bars: number[] = [];
  for await (const batch of store.fetch(series, always, signal)) {
    for (let i = 0; i < batch.count; i += 1) {
      const bar = batch.ts[i]! / minute;
      expect([batch.columns[0]![i], batch.columns[1]![i]]).toEqual([2 * bar, 3 * bar]);
      bars.push(bar);
    }
  }
  return bars;
}

const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

/** One line with what was found and wanted, and the code. */
async function expectRefusal(call: Promise<unknown>, code: string): Promise<void> {
  const failure = await failureOf(call);
  expect(failure).toMatchObject({ code });
  const { message } = failure as Error;
  expect(message).toMatch(/^Cannot .*, wanted .*[^.]$/);
  expect(message).not.toContain("\n");
}

test("a chunk lies in the file as column after column of little-endian float64 (K1)", async () => {
  const path = freshPath();
  const store = await open(path);
  await store.persist(series, pageOf(1_023, 1_026), signal);
  await store.close();
  const database = new Database(path, { readonly: true });
  const rows = database.query("SELECT start, n, cols FROM chunk ORDER BY start").values();
  database.close();
  expect(rows.map(([start, n]) => [start, n])).toEqual([
    [0, 1],
    [1_024 * minute, 2],
  ]);
  const view = new DataView((rows[1]![2] as Uint8Array).buffer);
  const values = Array.from({ length: view.byteLength / 8 }, (_, i) =>
    view.getFloat64(8 * i, true),
  );
  // ts, ts, seq, seq, price, price, trades, trades
  expect(values).toEqual([61_440_000, 61_500_000, 0, 0, 2_048, 2_050, 3_072, 3_075]);
});

test("a store in a path that is a directory, or with settings it does not know, is refused", async () => {
  await expectRefusal(open(directory), "CONFIG_INVALID");
  await expectRefusal(open(`${freshPath()}?bytesMax=1&speed=9`), "CONFIG_INVALID");
  await expectRefusal(
    openHistory("sqlite:", { mode: "write", isSimulated: false }, signal),
    "CONFIG_INVALID",
  );
  await expectRefusal(open(join(directory, "not", "there.db"), { mode: "read" }), "CONFIG_INVALID");
  expect(existsSync(join(directory, "not"))).toBe(false);
});

test("a file that is no store of ours is refused and left as it was", async () => {
  const text = freshPath();
  writeFileSync(text, "not a database, only some text that is long enough ".repeat(20));
  await expectRefusal(open(text), "STORE_CORRUPT");
  await expectRefusal(open(text, { mode: "read" }), "STORE_CORRUPT");
  expect(readFileSync(text, "utf8")).toStartWith("not a database");

  const foreign = freshPath();
  const other = new Database(foreign, { create: true });
  other.run("CREATE TABLE theirs (a)");
  other.close();
  await expectRefusal(open(foreign), "STORE_VERSION_UNKNOWN");
  const again = new Database(foreign, { readonly: true });
  expect(again.query("SELECT name FROM sqlite_master").values()).toEqual([["theirs"]]);
  again.close();
});

test("a store of another format version is refused, naming both versions", async () => {
  const path = freshPath();
  await (await open(path)).close();
  const database = new Database(path, { readwrite: true });
  database.run("PRAGMA user_version = 7");
  database.close();
  for (const mode of ["read", "write"] as const) {
    await expectRefusal(open(path, { mode }), "STORE_VERSION_UNKNOWN");
    expect(await failureOf(open(path, { mode }))).toMatchObject({
      details: { found: 7, wanted: 1 },
    });
  }
});

test("a store that was cut short or overwritten is STORE_CORRUPT, at open or at the first read", async () => {
  const damage = [
    (path: string): void => truncateSync(path, 5 * 16_384),
    (path: string): void => {
      const bytes = readFileSync(path);
      writeFileSync(path, bytes.fill(0xab, 16_384));
    },
  ];
  for (const harm of damage) {
    const path = freshPath();
    const store = await open(path);
    await store.persist(series, pageOf(0, 20_000), signal);
    await store.close();
    harm(path);
    const reading = async (): Promise<void> => {
      const reader = await open(path, { mode: "read" });
      try {
        await reader.coverage(series, signal);
        await barsOf(reader);
      } finally {
        await reader.close();
      }
    };
    await expectRefusal(reading(), "STORE_CORRUPT");
  }
});

test("a chunk whose length is not what its count says is STORE_CORRUPT", async () => {
  const path = freshPath();
  const store = await open(path);
  await store.persist(series, pageOf(0, 10), signal);
  const database = new Database(path, { readwrite: true });
  database.run("UPDATE chunk SET n = 9");
  database.close();
  await expectRefusal(barsOf(store), "STORE_CORRUPT");
  await expectRefusal(store.persist(series, pageOf(5, 6), signal), "STORE_CORRUPT");
  await store.close();
});

test("a page beyond bytesMax is STORE_FULL; nothing of it is there, and what fits still goes in", async () => {
  const path = freshPath();
  const store = await open(`${path}?bytesMax=1000000`);
  await store.persist(series, pageOf(0, 5_000), signal);
  await expectRefusal(store.persist(series, pageOf(5_000, 100_000), signal), "STORE_FULL");
  expect(await barsOf(store)).toEqual(upTo(5_000));
  expect((await store.coverage(series, signal)).have).toEqual(pageOf(0, 5_000).have);
  await store.persist(series, pageOf(5_000, 5_100), signal);
  await store.close();
  const reader = await open(path, { mode: "read" });
  expect(await barsOf(reader)).toEqual(upTo(5_100));
  await reader.close();
});

/** Runs `body` of a module in a process of its own; `wrap` may put it into a smaller world. */
function spawnStore(
  path: string,
  body: string,
  wrap: readonly string[] = [],
): Bun.Subprocess<"pipe", "pipe", "inherit"> {
  const door = new URL("../../../connectors/sqlite/index.ts", import.meta.url).pathname;
  const script = join(directory, `script-${(files += 1)}.ts`);
  writeFileSync(
    script,
    `import { openHistory } from ${JSON.stringify(door)};
     const path = ${JSON.stringify(path)};
     const series = ${JSON.stringify(series)};
     const minute = ${minute};
     const signal = AbortSignal.timeout(60_000);
     const newColumnBatch = (count, columns) => ({ count, ts: new Float64Array(count),
       seq: new Float64Array(count),
       columns: Array.from({ length: columns }, () => new Float64Array(count)) });
     ${pageOf.toString()}
     const open = async (mode) =>
       await openHistory("sqlite:" + path, { mode, isSimulated: false }, signal);
     const attempt = async (body) => {
       try { await body(); console.log("OK"); }
       catch (error) { console.log(error.code + " " + error.message); }
     };
     ${body}`,
  );
  return Bun.spawn([...wrap, process.execPath, script], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
  });
}

async function linesOf(child: Bun.Subprocess<"pipe", "pipe", "inherit">): Promise<string[]> {
  return (await new Response(child.stdout).text()).trim().split("\n");
}

/** A namespace of its own, in which a test may mount; undefined where the system forbids it. */
function namespaceOrSkip(claim: string): readonly string[] | undefined {
  const wrap = ["unshare", "--user", "--map-root-user", "--mount"];
  const isAllowed = Bun.which("unshare") !== null && Bun.spawnSync([...wrap, "true"]).success;
  if (!isAllowed) console.warn(`skipped, mounts are not allowed here: ${claim}`);
  return isAllowed ? wrap : undefined;
}

test("a full disk is STORE_FULL; nothing of the page is there, and the store goes on", async () => {
  const wrap = namespaceOrSkip("a full disk is STORE_FULL");
  if (wrap === undefined) return;
  const small = mkdtempSync(join(directory, "small-"));
  const child = spawnStore(
    join(small, "h.db"),
    `const store = await open("write");
     await store.persist(series, pageOf(0, 5_000), signal);
     await attempt(async () => await store.persist(series, pageOf(5_000, 200_000), signal));
     await attempt(async () => await store.persist(series, pageOf(5_000, 5_100), signal));
     let rows = 0;
     for await (const batch of store.fetch(series, { start: 0, end: 1e15 }, signal)) rows += batch.count;
     console.log(rows);
     await store.close();`,
    [...wrap, "sh", "-c", `mount -t tmpfs -o size=2m none "${small}" && exec "$@"`, "sh"],
  );
  const [full, after, rows] = await linesOf(child);
  expect(full).toMatch(/^STORE_FULL Cannot write a page of "BTCUSDT".*, wanted /);
  expect([after, rows]).toEqual(["OK", "5100"]);
}, 20_000);

test("on a read-only disk a writer is STORE_READ_ONLY, and a reader reads", async () => {
  const wrap = namespaceOrSkip("a read-only disk is STORE_READ_ONLY");
  if (wrap === undefined) return;
  const fixed = mkdtempSync(join(directory, "fixed-"));
  const path = join(fixed, "h.db");
  const store = await open(path);
  await store.persist(series, pageOf(0, 100), signal);
  await store.close();
  const child = spawnStore(
    path,
    `await attempt(async () => await open("write"));
     await attempt(async () => await openHistory("sqlite:" + path + ".d/deep/x.db",
       { mode: "write", isSimulated: false }, signal));
     const store = await open("read");
     let rows = 0;
     for await (const batch of store.fetch(series, { start: 0, end: 1e15 }, signal)) rows += batch.count;
     console.log(rows);
     await store.close();`,
    [
      ...wrap,
      "sh",
      "-c",
      `mount --bind "${fixed}" "${fixed}" && mount -o remount,bind,ro "${fixed}" && exec "$@"`,
      "sh",
    ],
  );
  const [writer, deep, rows] = await linesOf(child);
  expect(writer).toMatch(/^STORE_READ_ONLY Cannot .*, wanted /);
  expect(deep).toMatch(/^STORE_READ_ONLY Cannot .*, wanted /);
  expect(rows).toBe("100");
}, 20_000);

test("a read-only file or directory is STORE_READ_ONLY to a writer", async () => {
  if (process.getuid?.() === 0) {
    console.warn("skipped, permissions do not bind root: a read-only file is STORE_READ_ONLY");
    return;
  }
  const path = freshPath();
  await (await open(path)).close();
  chmodSync(path, 0o444);
  await expectRefusal(open(path), "STORE_READ_ONLY");
  const closed = mkdtempSync(join(directory, "closed-"));
  chmodSync(closed, 0o555);
  await expectRefusal(open(join(closed, "h.db")), "STORE_READ_ONLY");
  chmodSync(closed, 0o755);
});

test("a second writer in another process is STORE_LOCKED while the first lives, however it ends", async () => {
  const path = freshPath();
  const child = spawnStore(
    path,
    `const store = await open("write");
     await store.persist(series, pageOf(0, 100), signal);
     console.log("open");
     await new Promise(() => setInterval(() => undefined, 1_000));`,
  );
  const output = child.stdout.getReader();
  await output.read();
  await expectRefusal(open(path), "STORE_LOCKED");
  expect(await failureOf(open(path))).toMatchObject({ details: { path } });
  const reader = await open(path, { mode: "read" });
  expect(await barsOf(reader)).toEqual(upTo(100));
  child.kill("SIGKILL");
  await child.exited;
  const next = await open(path);
  await next.persist(series, pageOf(100, 200), signal);
  expect(await barsOf(reader)).toEqual(upTo(200));
  await reader.close();
  await next.close();
}, 20_000);

test("two names of one file meet at one lock", async () => {
  const path = freshPath();
  const store = await open(path);
  const link = `${path}.link`;
  symlinkSync(path, link);
  mkdirSync(join(directory, "sub"), { recursive: true });
  for (const other of [link, join(directory, "sub", "..", path.slice(directory.length + 1))]) {
    await expectRefusal(open(other), "STORE_LOCKED");
  }
  await store.close();
});

// Goal: readers and the writer never wait for each other (H5), across processes. Method: a child
// reads in a loop while this process writes pages; each read must see a whole prefix of the pages.
test("another process reads whole pages while this one writes (H4, H5)", async () => {
  const path = freshPath();
  const store = await open(path);
  const child = spawnStore(
    path,
    `const store = await open("read");
     console.log("open");
     let last = 0;
     while (last < 100_000) {
       const { have } = await store.coverage(series, signal);
       const claimed = (have[0]?.end ?? 0) / minute;
       let rows = 0;
       for await (const batch of store.fetch(series, { start: 0, end: 1e15 }, signal)) {
         for (let i = 0; i < batch.count; i += 1) {
           if (batch.ts[i] !== (rows + i) * minute) throw new Error("a row is missing at " + (rows + i));
         }
         rows += batch.count;
         await Bun.sleep(0);
       }
       if (rows < claimed || rows < last || have.length > 1) throw new Error("coverage claims too much");
       if (rows > last && rows < 100_000) console.log("saw", rows);
       last = rows;
     }
     await store.close();
     console.log("done");`,
  );
  const lines = linesOf(child);
  const slowestMs = { value: 0 };
  for (let from = 0; from < 100_000; from += 500) {
    const before = performance.now();
    await store.persist(series, pageOf(from, from + 500), signal);
    slowestMs.value = Math.max(slowestMs.value, performance.now() - before);
    await Bun.sleep(1);
  }
  expect((await lines).at(-1)).toBe("done");
  // SQLite's own wait for a lock is 5 s: no page came near it.
  expect(slowestMs.value).toBeLessThan(2_500);
  await store.close();
}, 60_000);

test("a reader that stays open does not let the log beside the file grow without end", async () => {
  const path = freshPath();
  const store = await open(path);
  await store.persist(series, pageOf(0, 50_000), signal);
  const reader = await open(path, { mode: "read" });
  const reading = reader.fetch(series, always, signal)[Symbol.asyncIterator]();
  await reading.next();
  for (let n = 0; n < 200; n += 1) await store.persist(series, pageOf(0, 2_000), signal);
  await reading.return?.();
  const walBytes = Bun.file(`${path}-wal`).size;
  // 200 pages of some 70 KB each are 13 MB; the log goes round at about 16 MB (1,000 pages).
  expect(walBytes).toBeLessThan(24_000_000);
  await reader.close();
  await store.close();
});

test("a writer that closes leaves one file, and the lock's, behind", async () => {
  const own = mkdtempSync(join(directory, "own-"));
  const store = await open(join(own, "h.db"));
  await store.persist(series, pageOf(0, 10), signal);
  await store.close();
  expect(readdirSync(own).toSorted()).toEqual(["h.db", "h.db.lock"]);
});

test("a file of before there were names is read without, and a writer adds them", async () => {
  const path = freshPath();
  const series: Series = {
    nodeId: "ab".repeat(16),
    definitionId: "cd".repeat(16),
    key: "BTCUSDT",
    interval: "1m",
    schema: { x: "f64" },
  };
  const page = { rows: newColumnBatch(0, 1), have: [{ start: 0, end: 60_000 }], empty: [] };
  const first = await open(path);
  await first.persist(series, page, signal);
  await first.close();
  const database = new Database(path);
  database.run("ALTER TABLE series DROP COLUMN name");
  database.close();

  const reader = await open(path, { mode: "read" });
  expect(await reader.list(signal)).toEqual([series]);
  const writer = await open(path);
  for (const name of ["first", "second"]) {
    await writer.persist({ ...series, name }, page, signal);
    expect(await writer.list(signal)).toEqual([{ ...series, name }]);
  }
  // A page without a name leaves the one there is; the reader of before sees it too.
  await writer.persist(series, page, signal);
  expect(await reader.list(signal)).toEqual([{ ...series, name: "second" }]);
  await writer.close();
  await reader.close();
});
