import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const folder = mkdtempSync(join(tmpdir(), "servers-"));
const file = join(folder, "needs-kafka.test.ts");

beforeAll(() => {
  const harness = JSON.stringify(join(import.meta.dirname, "servers.ts"));
  writeFileSync(
    file,
    `import { itest } from ${harness};
     itest(["kafka"], "needs a broker", async ({ kafka }) => { await kafka.stop(); });`,
  );
});

afterAll(() => rmSync(folder, { recursive: true }));

/** Runs the test file on a machine without Java; returns exit status and output. */
async function run(ci: string | undefined): Promise<readonly [number, string]> {
  const child = Bun.spawn([process.execPath, "test", file], {
    cwd: folder,
    env: { HOME: folder, PATH: folder, ...(ci === undefined ? {} : { CI: ci }) },
    stdout: "pipe",
    stderr: "pipe",
  });
  const output = await new Response(child.stderr).text();
  return [await child.exited, output];
}

test("without Java a test that needs Kafka is skipped, and the line to install it is shown", async () => {
  const [status, output] = await run(undefined);
  expect(status).toBe(0);
  expect(output).toContain("SKIPPED integration tests (kafka)");
  expect(output).toContain("apt-get install -y openjdk-17");
  expect(output).toContain("1 skip");
});

test("without Java a test that needs Kafka fails under CI=true", async () => {
  const [status, output] = await run("true");
  expect(status).toBe(1);
  expect(output).toContain("apt-get install -y openjdk-17");
  expect(output).toContain("1 fail");
});
