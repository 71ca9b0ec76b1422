import { existsSync, statfsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { z } from "zod";
import { cacheRoot } from "../artifacts/cache.ts";
import { findJava, javaInstallLine } from "../artifacts/java.ts";
import { mavenInstallLine } from "../artifacts/maven.ts";
import { isPortFree } from "../process/free-port.ts";
import { missingFor, serverKinds } from "../requirements.ts";
import { type Stack, usualPorts } from "./stack.ts";

/** One thing `qmtl doctor` looked at. */
export interface Check {
  readonly name: string;
  /** `warn`: works, with a drawback. `fail`: something will not work. */
  readonly verdict: "ok" | "warn" | "fail";
  readonly found: string;
  /** What to do; empty if nothing. */
  readonly advice: string;
}

/** Free disk space below which a server may soon refuse to write, in bytes. */
const diskBytesMin = 2 * 1024 ** 3;

/** Packages whose exact version decides whether data are safe: another one was seen to fail. */
const criticalPackages = new Set(["@platformatic/kafka", "ioredis", "bun"]);

/**
 * Looks at this machine and the installed packages.
 *
 * @param packageRoot directory of our package.json
 */
export async function runChecks(stack: Stack, packageRoot: string): Promise<readonly Check[]> {
  return [
    checkJava(),
    checkMaven(),
    ...serverKinds.map(checkServer),
    ...(await checkPackages(packageRoot)),
    ...(await checkPorts(stack)),
    checkDisk("disk of the data", stack.directory),
    checkDisk("disk of the cache", cacheRoot()),
  ];
}

function checkJava(): Check {
  const java = findJava();
  return java === undefined
    ? { name: "java", verdict: "fail", found: "none", advice: javaInstallLine }
    : { name: "java", verdict: "ok", found: `${java.version}, ${java.path}`, advice: "" };
}

function checkMaven(): Check {
  const path = Bun.which("mvn");
  return path === null
    ? { name: "mvn", verdict: "warn", found: "none", advice: mavenInstallLine }
    : { name: "mvn", verdict: "ok", found: path, advice: "" };
}

function checkServer(kind: (typeof serverKinds)[number]): Check {
  const missing = missingFor(kind);
  return missing === undefined
    ? { name: kind, verdict: "ok", found: "can be started", advice: "" }
    : { name: kind, verdict: "fail", found: "cannot be started", advice: missing };
}

const packageFile = z.looseObject({
  version: z.string().optional(),
  dependencies: z.record(z.string(), z.string()).optional(),
});

async function checkPackages(root: string): Promise<readonly Check[]> {
  const { dependencies } = await readPackage(join(root, "package.json"));
  const checks = Object.entries(dependencies ?? {}).map(async ([name, wanted]): Promise<Check> => {
    const path = join(root, "node_modules", name, "package.json");
    const found = existsSync(path) ? (await readPackage(path)).version : undefined;
    const title = `package ${name}`;
    if (found === wanted) return { name: title, verdict: "ok", found, advice: "" };
    return {
      name: title,
      verdict: found === undefined || criticalPackages.has(name) ? "fail" : "warn",
      found: found ?? "none",
      advice: `npm ci (wanted ${wanted})`,
    };
  });
  const running: Check = {
    name: "running bun",
    verdict: Bun.version === dependencies?.["bun"] ? "ok" : "warn",
    found: Bun.version,
    advice: Bun.version === dependencies?.["bun"] ? "" : `tested with ${dependencies?.["bun"]}`,
  };
  return [running, ...(await Promise.all(checks))];
}

async function readPackage(path: string): Promise<z.output<typeof packageFile>> {
  return packageFile.parse(JSON.parse(await readFile(path, "utf8")));
}

async function checkPorts(stack: Stack): Promise<readonly Check[]> {
  const statuses = await stack.status();
  return await Promise.all(
    statuses.map(async ({ kind, state, url }): Promise<Check> => {
      const name = `port of ${kind}`;
      if (state === "silent") {
        return {
          name,
          verdict: "fail",
          found: `${url} does not answer`,
          advice: `see qmtl status`,
        };
      }
      if (state === "up") return { name, verdict: "ok", found: `${url} is ours`, advice: "" };
      const port = Number(url?.split(":").at(-1) ?? usualPorts[kind]);
      return (await isPortFree(port))
        ? { name, verdict: "ok", found: `${port} is free`, advice: "" }
        : {
            name,
            verdict: "warn",
            found: `${port} is taken`,
            advice: "qmtl up takes another port; see qmtl status",
          };
    }),
  );
}

function checkDisk(name: string, directory: string): Check {
  let path = directory;
  while (!existsSync(path)) path = dirname(path);
  const { bavail, bsize } = statfsSync(path);
  const bytes = bavail * bsize;
  const found = `${(bytes / 1024 ** 3).toFixed(1)} GiB free at ${path}`;
  return bytes >= diskBytesMin
    ? { name, verdict: "ok", found, advice: "" }
    : { name, verdict: "warn", found, advice: "free at least 2 GiB" };
}
