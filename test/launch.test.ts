/**
 * Goal: `node launch.mjs` finds Bun and hands everything over. Method: a copy of it in a small
 * project whose packages count as installed, so that no registry is asked.
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import { cpSync, mkdirSync, readlinkSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { repository } from "./harness/child-run.ts";
import { scratchDirectory } from "./harness/scratch.ts";

setDefaultTimeout(30_000);
const node = Bun.which("node");
/** Without Node there is nothing that the launcher could be started with. */
const nodeTest = node === null ? test.skip : test;

/** A project with the launcher, an echoing program, and `node_modules` of this repository. */
function project(isInstalled: boolean): string {
  const root = join(scratchDirectory(), "project");
  mkdirSync(join(root, "node_modules"), { recursive: true });
  mkdirSync(join(root, "test"));
  cpSync(join(repository, "launch.mjs"), join(root, "launch.mjs"));
  const lock = JSON.stringify({ name: "p", lockfileVersion: 3, requires: true, packages: {} });
  writeFileSync(join(root, "package.json"), '{ "name": "p", "type": "module" }');
  writeFileSync(join(root, "package-lock.json"), lock);
  symlinkSync(join(repository, "node_modules/bun"), join(root, "node_modules/bun"));
  if (isInstalled) writeFileSync(join(root, "node_modules/.qmtl-installed"), lock);
  const echo = `console.log(JSON.stringify([Bun.version, process.cwd(), ...process.argv.slice(1)]));
    process.exit(7);`;
  writeFileSync(join(root, "echo.ts"), echo);
  writeFileSync(join(root, "test/run.ts"), echo);
  return root;
}

function launch(root: string, args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  return Bun.spawn([node ?? "node", join(root, "launch.mjs"), ...args], {
    cwd: "/",
    env: { ...process.env, ...env },
    stdout: "pipe",
    stderr: "pipe",
  });
}

const installed = project(true);
const bare = project(false);

nodeTest(
  "run FILE ARGS and test ARGS pass all on to Bun, and hand its exit code back",
  async () => {
    for (const [args, file, rest] of [
      [["run", "echo.ts", "--symbols", "A B", "--json"], "echo.ts", ["--symbols", "A B", "--json"]],
      [["test", "test/x"], "test/run.ts", ["test/x"]],
    ] as const) {
      const child = launch(installed, args);
      const said = JSON.parse(await new Response(child.stdout).text()) as unknown[];
      expect(said).toEqual([Bun.version, installed, join(installed, file), ...rest]);
      expect(await child.exited).toBe(7);
    }
  },
);

nodeTest("an interrupt reaches the program, and its end decides the exit code", async () => {
  writeFileSync(
    join(installed, "waits.ts"),
    `process.on("SIGINT", () => process.exit(130));
     console.log("ready"); setInterval(() => undefined, 1_000);`,
  );
  const child = launch(installed, ["run", "waits.ts"]);
  await child.stdout.getReader().read();
  child.kill("SIGINT");
  expect(await child.exited).toBe(130);
});

nodeTest("packages that are missing are installed first; a failure says so in a line", async () => {
  // An npm that cannot work stands in for a machine without a network.
  const fake = join(bare, "fake");
  mkdirSync(fake);
  writeFileSync(join(fake, "npm"), '#!/bin/sh\necho "npm $*" >&2\nexit 3\n', { mode: 0o755 });
  const child = launch(bare, ["run", "echo.ts"], { PATH: `${fake}:${process.env["PATH"]}` });
  const said = await new Response(child.stderr).text();
  const [first, asked, last] = said.trimEnd().split("\n");
  expect(first).toBe("qmtl: installing packages (once, about a minute)");
  expect(asked).toMatch(/^npm (ci|install) /);
  expect(last).toMatch(/^qmtl: npm (ci|install) failed/);
  expect(await child.exited).toBe(3);
});

nodeTest("link makes the command findable for bunx, once", async () => {
  for (let time = 0; time < 2; time += 1) {
    expect(await launch(installed, ["link"]).exited).toBe(0);
    const link = readlinkSync(join(installed, "node_modules/.bin/qmtl"));
    expect(link).toBe("../../runtime/cli/main.ts");
  }
});

test("the versions that matter are the ones that are installed", async () => {
  const { default: manifest } = await import("../package.json");
  for (const [name, pinned] of Object.entries({
    ...manifest.dependencies,
    ...manifest.devDependencies,
  })) {
    const { version } = (await Bun.file(
      join(repository, "node_modules", name, "package.json"),
    ).json()) as { version: string };
    expect([name, version]).toEqual([name, pinned]);
  }
  expect(Bun.version).toBe(manifest.dependencies.bun);
});
