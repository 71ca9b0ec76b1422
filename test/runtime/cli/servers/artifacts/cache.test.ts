import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cached, withLock } from "../../../../../runtime/cli/servers/artifacts/cache.ts";

const folder = mkdtempSync(join(tmpdir(), "cache-"));
const before = process.env["QMTL_CACHE"];
const modulePath = join(
  import.meta.dirname,
  "../../../../../runtime/cli/servers/artifacts/cache.ts",
);

beforeAll(() => {
  process.env["QMTL_CACHE"] = folder;
});

afterAll(() => {
  if (before === undefined) delete process.env["QMTL_CACHE"];
  else process.env["QMTL_CACHE"] = before;
  rmSync(folder, { recursive: true });
});

test("cached() fills once; a failed fill leaves nothing and is tried again (C1)", async () => {
  const fail = cached("thing", async (directory) => {
    writeFileSync(join(directory, "half"), "");
    throw await Promise.resolve(new Error("no network"));
  });
  expect(String(await fail.catch((error: unknown) => error))).toContain("no network");
  expect(readdirSync(folder)).toEqual([]);
  let fills = 0;
  const fill = async (directory: string): Promise<void> => {
    fills += 1;
    await Bun.write(join(directory, "whole"), "1");
  };
  const path = await cached("thing", fill);
  expect(await cached("thing", fill)).toBe(path);
  expect(fills).toBe(1);
  expect(readdirSync(folder)).toEqual(["thing"]);
});

test("of four processes one fills and the others wait for it (C2)", async () => {
  const log = join(folder, "fills.log");
  const code = `
    import { appendFileSync, existsSync } from "node:fs";
    import { join } from "node:path";
    import { cached } from ${JSON.stringify(modulePath)};
    const path = await cached("shared", async (directory) => {
      appendFileSync(${JSON.stringify(log)}, "fill\\n");
      await Bun.sleep(100);
      await Bun.write(join(directory, "whole"), "1");
    });
    process.exitCode = existsSync(join(path, "whole")) ? 0 : 1;`;
  const children = Array.from({ length: 4 }, () =>
    Bun.spawn([process.execPath, "-e", code], { env: { ...process.env, QMTL_CACHE: folder } }),
  );
  expect(await Promise.all(children.map(async (child) => await child.exited))).toEqual([
    0, 0, 0, 0,
  ]);
  expect(readFileSync(log, "utf8")).toBe("fill\n");
});

test("withLock() takes over the lock of a process that died", async () => {
  const path = join(folder, "left.lock");
  writeFileSync(path, "1 1");
  expect(await withLock(path, async () => await Promise.resolve("mine"))).toBe("mine");
  expect(existsSync(path)).toBe(false);
});
