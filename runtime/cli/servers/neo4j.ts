import { existsSync } from "node:fs";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { QmtlError } from "../../core/errors.ts";
import { cached, cacheRoot } from "./artifacts/cache.ts";
import { classDataFlags } from "./artifacts/class-data.ts";
import { classPathOf, javaInstallLine, requireJava } from "./artifacts/java.ts";
import { jarDirectory, type MavenArtifact } from "./artifacts/maven.ts";
import { runTool } from "./artifacts/run-tool.ts";
import { openDataDirectory } from "./process/data-directory.ts";
import { freePort } from "./process/free-port.ts";
import { javaCommand } from "./process/java-command.ts";
import { ManagedServer, type Server, type StartOptions } from "./process/managed-server.ts";
import { isListening } from "./process/probe.ts";

/** Pinned; compose.yaml has the same. */
export const neo4jVersion = "5.26.30";

/** How to start Neo4j. `port` is the Bolt port. */
export interface Neo4jOptions extends StartOptions {
  /** Further lines of neo4j.conf. */
  readonly settings?: Readonly<Record<string, string>>;
}

/** A running Neo4j Community; url `neo4j://127.0.0.1:PORT`, without authentication. */
export type Neo4jServer = Server;

/**
 * The published jars hold the database and the Bolt connector; the program that starts them is
 * only in the full download. So this one does: database of `args[0]` with the settings `args[1]`.
 */
const launcherSource = `
import java.nio.file.Path;
import org.neo4j.dbms.api.DatabaseManagementService;
import org.neo4j.dbms.api.DatabaseManagementServiceBuilder;

public final class QmtlNeo4j {
  public static void main(String[] args) throws InterruptedException {
    DatabaseManagementService service =
        new DatabaseManagementServiceBuilder(Path.of(args[0]))
            .loadPropertiesFromFile(Path.of(args[1]))
            .build();
    Runtime.getRuntime().addShutdownHook(new Thread(service::shutdown, "shutdown"));
    System.out.println("Database started");
    Thread.sleep(Long.MAX_VALUE);
  }
}
`;
const launcherName = `neo4j-${neo4jVersion}-launcher`;

/** True if the launcher is compiled or can be. */
export function canLaunchNeo4j(): boolean {
  return existsSync(join(cacheRoot(), launcherName)) || findCompiler() !== undefined;
}

/**
 * Neo4j Community from Maven, Bolt only; ready when the database is up and Bolt accepts.
 *
 * @throws QmtlError SERVER_START_FAILED if it cannot be had or does not start.
 */
export async function startNeo4j(options: Neo4jOptions = {}): Promise<Neo4jServer> {
  const java = requireJava();
  const name = `neo4j-${neo4jVersion}`;
  const jars = await classPathOf(await jarDirectory(name, artifacts));
  const classPath = `${join(await launcher(jars), "launcher.jar")}:${jars}`;
  const classData = await classDataFlags(name, java, async (flag, directory) => {
    const dataDir = join(directory, "data");
    const server = await launch({ dataDir }, classPath, [flag]);
    await server.stop();
    await rm(dataDir, { recursive: true });
  });
  return await launch(options, classPath, classData);
}

/** Web server, file imports from clouds and columnar files: unused, and half of the download. */
const excludedGroups = [
  "org.eclipse.jetty",
  "org.eclipse.jetty.http2",
  "org.eclipse.jetty.ee8",
  "org.glassfish.jersey.core",
  "org.glassfish.jersey.containers",
  "org.glassfish.jersey.inject",
  "org.apache.hadoop",
  "org.apache.parquet",
  "blue.strategic.parquet",
];

const artifacts: readonly MavenArtifact[] = [
  {
    groupId: "org.neo4j",
    artifactId: "neo4j",
    version: neo4jVersion,
    exclusions: excludedGroups.map((groupId) => ({ groupId, artifactId: "*" })),
  },
  { groupId: "org.neo4j", artifactId: "neo4j-bolt", version: neo4jVersion },
];

async function launcher(classPath: string): Promise<string> {
  return await cached(launcherName, async (directory) => {
    const compiler = findCompiler();
    if (compiler === undefined) {
      throw new QmtlError(
        "SERVER_START_FAILED",
        `Cannot compile the launcher of Neo4j: "javac" is missing, wanted the Java compiler; install it with: ${javaInstallLine}`,
      );
    }
    const source = join(directory, "QmtlNeo4j.java");
    const action = "compile the launcher of Neo4j";
    await writeFile(source, launcherSource);
    await runTool([compiler, "-cp", classPath, "-d", directory, source], { action });
    const jar = join(dirname(compiler), "jar");
    const archive = join(directory, "launcher.jar");
    // A jar, since a class archive takes classes from jars only.
    await runTool([jar, "--create", "--file", archive, "-C", directory, "QmtlNeo4j.class"], {
      action,
    });
  });
}

function findCompiler(): string | undefined {
  const beside = join(dirname(requireJava().path), "javac");
  return existsSync(beside) ? beside : (Bun.which("javac") ?? undefined);
}

async function launch(
  options: Neo4jOptions,
  classPath: string,
  flags: readonly string[],
): Promise<Neo4jServer> {
  const port = options.port ?? (await freePort());
  const purpose = options.purpose ?? "test";
  const data = openDataDirectory("neo4j", options.dataDir);
  const config = join(data.path, "conf", "neo4j.conf");
  await mkdir(dirname(config), { recursive: true });
  const settings = {
    "server.bolt.enabled": "true",
    "server.bolt.listen_address": `127.0.0.1:${port}`,
    "server.bolt.advertised_address": `127.0.0.1:${port}`,
    "server.http.enabled": "false",
    "server.https.enabled": "false",
    "dbms.security.auth_enabled": "false",
    "dbms.usage_report.enabled": "false",
    "server.memory.pagecache.size": purpose === "test" ? "16m" : "128m",
    // Else each start writes 256 MB of transaction log ahead of its use.
    "db.tx_log.preallocate": "false",
    // An orderly end waits 10 s for connections that may still say something; ours are closed.
    "internal.dbms.bolt.netty_server_shutdown_quiet_period": "0",
    "internal.server.bolt.thread_pool_shutdown_wait_time": "0s",
    "internal.server.bolt.connection_shutdown_wait_time": "0s",
    ...options.settings,
  };
  const lines = Object.entries(settings).map(([key, value]) => `${key}=${value}\n`);
  await writeFile(config, lines.join(""));
  const server = new ManagedServer({
    name: "neo4j",
    url: `neo4j://127.0.0.1:${port}`,
    port,
    data,
    options,
    command: javaCommand(
      {
        javaPath: requireJava().path,
        classPath,
        mainClass: "QmtlNeo4j",
        heapMbMax: purpose === "test" ? 384 : 512,
        flags: ["-Dlog4j2.disable.jmx=true", "-Dlog4j.shutdownHookEnabled=false", ...flags],
        arguments: [data.path, config],
      },
      purpose,
    ),
    environment: {},
    readyMsMax: 120_000,
    isReady: async (log) => log.includes("Database started") && (await isListening(port)),
  });
  return await server.start();
}
