import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { importModule } from "../../../runtime/core/import-module.ts";
import { scratchDirectory } from "../../harness/scratch.ts";

test("a module is found by its URL and by a public name, its exports by theirs", async () => {
  const path = join(scratchDirectory(), "answer.ts");
  writeFileSync(path, "export const answer: number = 42;\n");
  expect({ ...(await importModule(Bun.pathToFileURL(path).href)) }).toEqual({ answer: 42 });
  expect(Object.keys(await importModule("qmtl"))).toContain("StreamInput");
});
