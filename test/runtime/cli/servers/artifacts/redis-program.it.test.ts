import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describeNeeding } from "../../../../harness/servers.ts";

const folder = mkdtempSync(join(tmpdir(), "redis-program-"));
const modulePath = join(
  import.meta.dirname,
  "../../../../../runtime/cli/servers/artifacts/redis-program.ts",
);

/** Where the program comes from if PATH has only `tools`, and what it says of itself. */
async function found(name: string, tools: readonly string[]): Promise<string> {
  const bin = join(folder, name);
  mkdirSync(bin);
  for (const tool of tools) {
    const path = Bun.which(tool);
    if (path !== null) symlinkSync(path, join(bin, tool));
  }
  const code = `
    import { redisProgram } from ${JSON.stringify(modulePath)};
    const { path, environment, origin } = await redisProgram();
    const { stdout } = Bun.spawnSync([path, "--version"], { env: environment });
    console.log(origin, stdout.toString());`;
  const child = Bun.spawn([process.execPath, "-e", code], {
    env: { HOME: folder, PATH: bin, QMTL_CACHE: join(folder, `${name}-cache`) },
    stdout: "pipe",
    stderr: "pipe",
  });
  const [output, errors] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return output + errors;
}

describeNeeding(["redis"], "redisProgram()", () => {
  afterAll(() => rmSync(folder, { recursive: true }));

  test("without any source names the line that installs Redis", async () => {
    expect(await found("nothing", [])).toContain("apt-get install -y redis-server");
  });

  const system = ["apt-get", "apt-cache", "dpkg", "dpkg-deb", "tar", "rm", "ln", "sh"];
  test.skipIf(Bun.which("apt-get") === null)(
    "unpacks the system's package without root",
    async () => {
      expect(await found("system", system)).toMatch(/system package .*v=\d+\.\d+/);
    },
    60_000,
  );
});
