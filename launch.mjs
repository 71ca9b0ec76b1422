#!/usr/bin/env node
/**
 * The door for a machine that has Node >= 20 and npm but no Bun: installs what is missing, then
 * hands over to Bun. `node launch.mjs run FILE ARGS…`, `node launch.mjs test ARGS…`, and
 * `node launch.mjs link` at the end of an install.
 */
import { spawn, spawnSync } from "node:child_process";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const root = import.meta.dirname ?? new URL(".", import.meta.url).pathname;
const stamp = join(root, "node_modules", ".qmtl-installed");
const lockfile = join(root, "package-lock.json");

/** Installs the locked packages once; again only when the lockfile changed. */
function installMissing() {
  const lock = readFileSync(lockfile, "utf8");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === lock) return;
  console.error("qmtl: installing packages (once, about a minute)");
  const npm = process.platform === "win32" ? "npm.cmd" : "npm";
  // Not `npm ci`: it refuses to start where a registry lacks a binary of another platform.
  const args = ["install", "--no-save", "--no-audit", "--no-fund", "--loglevel=error"];
  const done = spawnSync(npm, args, {
    cwd: root,
    stdio: ["ignore", 2, 2],
  });
  if (done.status !== 0) {
    console.error("qmtl: npm install failed; see the lines above");
    process.exit(done.status ?? 1);
  }
  linkCommand();
  writeFileSync(stamp, lock);
}

/** Makes `bunx qmtl` find this package's own command; `npx` looks into package.json by itself. */
function linkCommand() {
  const link = join(root, "node_modules", ".bin", "qmtl");
  if (process.platform === "win32") return;
  if (lstatSync(link, { throwIfNoEntry: false }) !== undefined) return;
  mkdirSync(join(root, "node_modules", ".bin"), { recursive: true });
  symlinkSync("../../runtime/cli/main.ts", link);
}

/** Path of the Bun binary that the `bun` package carries, even where install scripts did not run. */
function bunBinary() {
  const require = createRequire(join(root, "package.json"));
  const packaged = join(root, "node_modules", "bun", "bin", "bun.exe");
  if (existsSync(packaged) && statSync(packaged).size > 1_000_000) return packaged;
  const arch = process.arch === "arm64" ? "aarch64" : "x64";
  for (const suffix of ["", "-baseline", "-musl"]) {
    try {
      return require.resolve(`@oven/bun-${process.platform}-${arch}${suffix}/bin/bun`);
    } catch (error) {
      if (error.code !== "MODULE_NOT_FOUND") throw error;
    }
  }
  console.error(`qmtl: no Bun binary for ${process.platform}-${process.arch} in node_modules`);
  process.exit(1);
}

const [command, ...rest] = process.argv.slice(2);
if (command === "link") {
  // The last step of an install, by npm or by Bun.
  linkCommand();
  process.exit(0);
}
installMissing();
const args = command === "test" ? ["test/run.ts", ...rest] : rest;
const child = spawn(bunBinary(), args, { cwd: root, stdio: "inherit" });
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => child.kill(signal));
child.on("exit", (code, signal) => process.exit(code ?? (signal === "SIGINT" ? 130 : 143)));
