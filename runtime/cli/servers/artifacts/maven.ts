import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { QmtlError } from "../../../core/errors.ts";
import { cached } from "./cache.ts";
import { runTool } from "./run-tool.ts";

/** Groups or artifacts left out of a dependency's own dependencies; `*` is any name. */
export interface Exclusion {
  readonly groupId: string;
  readonly artifactId: string;
}

/** One artifact of Maven's central repository, pinned. */
export interface MavenArtifact {
  readonly groupId: string;
  readonly artifactId: string;
  readonly version: string;
  readonly exclusions?: readonly Exclusion[];
}

/** The line that installs what is missing. */
export const mavenInstallLine = "sudo apt-get install -y maven";

/** Pinned: another plugin version could choose other jars. */
const copyGoal = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies";

/**
 * A directory with the jars of `artifacts` and all they need at run time, from the cache or, once,
 * through the user's own Maven and its settings.
 *
 * @throws QmtlError SERVER_START_FAILED if Maven is needed and missing, or fails.
 */
export async function jarDirectory(
  name: string,
  artifacts: readonly MavenArtifact[],
): Promise<string> {
  return await cached(name, async (directory) => {
    const maven = Bun.which("mvn");
    if (maven === null) {
      throw new QmtlError(
        "SERVER_START_FAILED",
        `Cannot fetch ${name}: "mvn" is not on PATH, wanted Maven; install it with: ${mavenInstallLine}`,
      );
    }
    const pom = join(directory, "pom.xml");
    await writeFile(pom, pomOf(artifacts));
    const flags = [
      "-q",
      "-B",
      "-f",
      pom,
      "-DincludeScope=runtime",
      `-DoutputDirectory=${directory}`,
    ];
    await runTool([maven, ...flags, copyGoal], { directory, action: `fetch ${name}` });
  });
}

/** A Maven project that only lists `artifacts`. */
export function pomOf(artifacts: readonly MavenArtifact[]): string {
  return [
    '<project xmlns="http://maven.apache.org/POM/4.0.0">',
    "<modelVersion>4.0.0</modelVersion>",
    "<groupId>qmtl</groupId><artifactId>servers</artifactId><version>1</version>",
    "<packaging>pom</packaging>",
    `<dependencies>${artifacts.map(dependencyOf).join("\n")}</dependencies>`,
    "</project>",
  ].join("\n");
}

function dependencyOf({ groupId, artifactId, version, exclusions }: MavenArtifact): string {
  const left = (exclusions ?? []).map(
    (one) =>
      `<exclusion><groupId>${one.groupId}</groupId><artifactId>${one.artifactId}</artifactId></exclusion>`,
  );
  const name = `<groupId>${groupId}</groupId><artifactId>${artifactId}</artifactId>`;
  return `<dependency>${name}<version>${version}</version><exclusions>${left.join("")}</exclusions></dependency>`;
}
