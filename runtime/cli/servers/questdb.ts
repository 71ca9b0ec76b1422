import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { classDataFlags } from "./artifacts/class-data.ts";
import { classPathOf, requireJava } from "./artifacts/java.ts";
import { jarDirectory } from "./artifacts/maven.ts";
import { openDataDirectory } from "./process/data-directory.ts";
import { freePort } from "./process/free-port.ts";
import { javaCommand } from "./process/java-command.ts";
import { ManagedServer, type Server, type StartOptions } from "./process/managed-server.ts";
import { answersHttp } from "./process/probe.ts";

/** Pinned; compose.yaml has the same. */
export const questdbVersion = "9.3.4";

/** How to start QuestDB. `port` is the HTTP port. */
export interface QuestdbOptions extends StartOptions {
  readonly pgPort?: number;
  readonly ilpPort?: number;
  /** Further lines of server.conf, for example `cairo.commit.mode`. */
  readonly settings?: Readonly<Record<string, string>>;
}

/** A running QuestDB; url `questdb://127.0.0.1:HTTPPORT` (SQL and ILP over HTTP). */
export interface QuestdbServer extends Server {
  /** PostgreSQL wire protocol: user `admin`, password `quest`, database `qdb`. */
  readonly pgPort: number;
  /** ILP over TCP, which acknowledges nothing; only for comparison. */
  readonly ilpPort: number;
}

/**
 * QuestDB from Maven; ready when it says so and answers `/ping`.
 *
 * @throws QmtlError SERVER_START_FAILED if it cannot be had or does not start.
 */
export async function startQuestdb(options: QuestdbOptions = {}): Promise<QuestdbServer> {
  const java = requireJava();
  const name = `questdb-${questdbVersion}`;
  const jars = await jarDirectory(name, [
    { groupId: "org.questdb", artifactId: "questdb", version: questdbVersion },
  ]);
  const classData = await classDataFlags(name, java, async (flag, directory) => {
    const dataDir = join(directory, "data");
    const server = await launch({ dataDir }, jars, [flag]);
    await server.stop();
    await rm(dataDir, { recursive: true });
  });
  return await launch(options, jars, classData);
}

async function launch(
  options: QuestdbOptions,
  jars: string,
  flags: readonly string[],
): Promise<QuestdbServer> {
  const port = options.port ?? (await freePort());
  const pgPort = options.pgPort ?? (await freePort());
  const ilpPort = options.ilpPort ?? (await freePort());
  const purpose = options.purpose ?? "test";
  const data = openDataDirectory("questdb", options.dataDir);
  const server = new ManagedServer({
    name: "questdb",
    url: `questdb://127.0.0.1:${port}`,
    port,
    data,
    options,
    command: javaCommand(
      {
        javaPath: requireJava().path,
        classPath: await classPathOf(jars),
        mainClass: "io.questdb.ServerMain",
        heapMbMax: purpose === "test" ? 256 : 512,
        flags,
        arguments: ["-d", data.path, "-n"],
      },
      purpose,
    ),
    environment: {},
    readyMsMax: 90_000,
    isReady: async (log) =>
      log.includes("server-main enjoy") && (await answersHttp(port, "/ping", 204)),
  });
  await writeSettings(data.path, {
    "http.bind.to": `127.0.0.1:${port}`,
    "pg.net.bind.to": `127.0.0.1:${pgPort}`,
    "line.tcp.net.bind.to": `127.0.0.1:${ilpPort}`,
    "http.min.enabled": "false",
    "line.udp.enabled": "false",
    "telemetry.enabled": "false",
    // A test's tables are small: pages of 16 MB a column would only make each table slow to open.
    ...(purpose === "test"
      ? { "shared.worker.count": "1", "cairo.writer.data.append.page.size": "1M" }
      : {}),
    ...options.settings,
  });
  await server.start();
  return Object.assign(server, { pgPort, ilpPort });
}

async function writeSettings(
  directory: string,
  settings: Readonly<Record<string, string>>,
): Promise<void> {
  const folder = join(directory, "conf");
  await mkdir(folder, { recursive: true });
  const lines = Object.entries(settings).map(([name, value]) => `${name}=${value}`);
  await writeFile(join(folder, "server.conf"), `${lines.join("\n")}\n`);
  const log = [
    "writers=stdout",
    "w.stdout.class=io.questdb.log.LogConsoleWriter",
    "w.stdout.level=ERROR,CRITICAL,ADVISORY",
  ];
  await writeFile(join(folder, "log.conf"), `${log.join("\n")}\n`);
}
