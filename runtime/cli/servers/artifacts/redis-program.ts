import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { QmtlError } from "../../../core/errors.ts";
import { cached, cacheRoot } from "./cache.ts";
import { runTool } from "./run-tool.ts";

/** A Redis server to run, and what it needs to find its libraries. */
export interface RedisProgram {
  readonly path: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly origin: "path" | "system package";
}

/** The line that installs what is missing. */
export const redisInstallLine = "sudo apt-get install -y redis-server";

/** The server's package (redis-server is only a link to it) and the libraries a slim system lacks. */
const packages = ["redis-tools", "libjemalloc2", "liblzf1", "libatomic1"];
const cacheName = "redis-debian";

/** True if a Redis server can be had on this machine; says nothing about the network. */
export function canHaveRedis(): boolean {
  const canUnpack = Bun.which("apt-get") !== null && Bun.which("dpkg") !== null;
  return (
    Bun.which("redis-server") !== null || existsSync(join(cacheRoot(), cacheName)) || canUnpack
  );
}

/**
 * `redis-server` from PATH; else unpacked, without root, from the system's own package.
 *
 * @throws QmtlError SERVER_START_FAILED with the install line if there is neither.
 */
export async function redisProgram(): Promise<RedisProgram> {
  const onPath = Bun.which("redis-server");
  if (onPath !== null) return { path: onPath, environment: {}, origin: "path" };
  if (!canHaveRedis()) {
    throw new QmtlError(
      "SERVER_START_FAILED",
      `Cannot start redis: "redis-server" is not on PATH and there is no apt-get to fetch it, wanted one of them; install it with: ${redisInstallLine}`,
    );
  }
  const root = await cached(cacheName, unpack);
  const libraries = await libraryDirectories(join(root, "usr", "lib"));
  const inherited = process.env["LD_LIBRARY_PATH"];
  const path = [...libraries, ...(inherited === undefined ? [] : [inherited])].join(":");
  return {
    // The package's one program is server and checker in one: it looks at the name it is called by.
    path: join(root, "usr", "bin", "redis-server"),
    environment: { LD_LIBRARY_PATH: path },
    origin: "system package",
  };
}

async function unpack(directory: string): Promise<void> {
  const action = `fetch redis (or install it with: ${redisInstallLine})`;
  // One by one: a name that this release does not have is a library its Redis does not need.
  const wanted = await Promise.all(
    packages.map(async (name) => {
      const known = await runTool(["apt-cache", "show", name], { action }).then(
        () => true,
        () => false,
      );
      return known ? [name] : [];
    }),
  );
  await runTool(["apt-get", "-q", "download", ...wanted.flat()], { directory, action });
  const files = (await readdir(directory)).filter((name) => name.endsWith(".deb"));
  for (const file of files) await runTool(["dpkg", "-x", file, directory], { directory, action });
  const program = join(directory, "usr", "bin", "redis-server");
  if (!existsSync(program)) {
    await runTool(["ln", "-s", "redis-check-rdb", program], { action });
  }
}

async function libraryDirectories(root: string): Promise<readonly string[]> {
  const names = await readdir(root, { withFileTypes: true });
  return [root, ...names.filter((one) => one.isDirectory()).map((one) => join(root, one.name))];
}
