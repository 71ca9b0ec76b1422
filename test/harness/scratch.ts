import { afterAll } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** An empty directory that is removed after the file's last test. */
export function scratchDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "qmtl-test-"));
  afterAll(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}
