import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { errorText } from "../../../core/errors.ts";
import { cached, cacheRoot } from "./cache.ts";
import { type Java } from "./java.ts";

/**
 * The Java flag that loads classes from an archive instead of parsing jars: a start of 1 to 3 s
 * instead of 4 to 10 s. The archive is made once for each (jars, Java build), by `train`: it
 * starts the server with the flag it is given and stops it in order.
 *
 * An archive is only a help: if it cannot be made, the server starts without it, and the reason
 * goes to `warn`.
 */
export async function classDataFlags(
  name: string,
  java: Java,
  train: (flag: string, directory: string) => Promise<void>,
): Promise<readonly string[]> {
  const build = createHash("sha256").update(java.build).digest("hex").slice(0, 12);
  const directoryName = `${name}-classes-${build}`;
  const archive = join(cacheRoot(), directoryName, "classes.jsa");
  try {
    await cached(directoryName, async (directory) => {
      await train(`-XX:ArchiveClassesAtExit=${join(directory, "classes.jsa")}`, directory);
    });
  } catch (error) {
    process.emitWarning(`${name} starts without its class archive: ${errorText(error)}`);
  }
  return existsSync(archive) ? [`-XX:SharedArchiveFile=${archive}`] : [];
}
