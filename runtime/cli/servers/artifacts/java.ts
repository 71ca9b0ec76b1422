import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { QmtlError } from "../../../core/errors.ts";

/** Kafka 4, QuestDB 9 and Neo4j 5.26 all ask for it. */
const javaVersionMin = 17;

/** The line that installs what is missing. */
export const javaInstallLine = "sudo apt-get install -y openjdk-17-jdk-headless";

/** A Java that can run the servers. */
export interface Java {
  readonly path: string;
  readonly version: number;
  /** Everything it says of itself, on one line: a class-data archive fits only one build. */
  readonly build: string;
}

let found: Java | undefined;

/** Java 17 or newer of `JAVA_HOME` or `PATH`; undefined if there is none. Asked once a process. */
export function findJava(): Java | undefined {
  found ??= lookForJava();
  return found;
}

/** @throws QmtlError SERVER_START_FAILED with the install line if there is no Java 17 or newer. */
export function requireJava(): Java {
  const java = findJava();
  if (java !== undefined) return java;
  throw new QmtlError(
    "SERVER_START_FAILED",
    `Cannot start a Java server: no Java on PATH or in JAVA_HOME, wanted version ${javaVersionMin} or newer; install it with: ${javaInstallLine}`,
  );
}

/** The class path of all jars in `directory`, in an order that never changes. */
export async function classPathOf(directory: string): Promise<string> {
  const names = (await readdir(directory)).filter((name) => name.endsWith(".jar"));
  return names
    .toSorted()
    .map((name) => join(directory, name))
    .join(":");
}

function lookForJava(): Java | undefined {
  const home = process.env["JAVA_HOME"];
  const inHome = home === undefined ? undefined : join(home, "bin", "java");
  const path = inHome !== undefined && existsSync(inHome) ? inHome : Bun.which("java");
  if (path === null) return undefined;
  const { stderr, success } = Bun.spawnSync([path, "-version"]);
  const build = stderr.toString().trim().replaceAll("\n", "; ");
  const version = Number(/version "(\d+)/.exec(build)?.[1] ?? 0);
  return success && version >= javaVersionMin ? { path, version, build } : undefined;
}
