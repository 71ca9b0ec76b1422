import { expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type Declaration } from "../../../../runtime/graph/code/declaration-hash.ts";
import { isInPackage, ModuleNames } from "../../../../runtime/graph/code/meaning.ts";
import { ModuleSource } from "../../../../runtime/graph/code/module-source.ts";
import { repository } from "../../../harness/child-run.ts";
import { scratchDirectory } from "../../../harness/scratch.ts";

const directory = scratchDirectory();

function write(name: string, text: string): string {
  const path = join(directory, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
  return path;
}

/** What `name` means at the top of a module `text`: a text, or the declaration's own name. */
function meaningOf(text: string, name: string, file = `${name}.ts`): string {
  const module = ModuleSource.at(write(file, text));
  const meaning = new ModuleNames(module, []).resolve(name, module.program);
  return typeof meaning === "string" ? meaning : `declaration ${meaning.form.parts.join("<>")}`;
}

function codeOf(read: () => unknown): unknown {
  try {
    read();
  } catch (error) {
    return error;
  }
  return undefined;
}

test("a constant's meaning is its value, wherever it comes from", () => {
  write("constants.ts", "export const days = 7; export { days as renamed };");
  write("stars.ts", 'export * from "./constants.ts";');
  const here = meaningOf("const days = 7;", "days");
  expect(meaningOf('import { renamed } from "./stars.ts";', "renamed")).toBe(here);
  expect(meaningOf("const weeks = 8;", "weeks")).not.toBe(here);
});

test("a package is meant by name and version, a global that is pure by its name", () => {
  write(
    "node_modules/pack/package.json",
    '{ "name": "pack", "version": "1.2.3", "main": "main.js" }',
  );
  write("node_modules/pack/main.js", "export const f = () => Math.random();");
  expect(meaningOf('import { f } from "pack";', "f")).toBe("package pack@1.2.3/main.js#f");
  expect(meaningOf("", "Number")).toBe("global Number");
  const { program } = ModuleSource.at(write("math.ts", ""));
  const names = new ModuleNames(ModuleSource.at(join(directory, "math.ts")), []);
  expect(names.member("Math", "sqrt", program)).toBe("global Math.sqrt");
  expect(names.member("Number", "EPSILON", program)).toBeUndefined();
});

test("data of a JSON module is meant by what it says", () => {
  write("a.json", '{ "n": 1, "m": 2 }');
  write("b.json", '{ "m": 2,   "n": 1 }');
  const one = meaningOf('import one from "./a.json";', "one");
  expect(one).toMatch(/^json [0-9a-f]{32}#default$/);
  expect(meaningOf('import two from "./b.json";', "two")).toBe(one);
});

test("what may be another value each time is refused by name and place", () => {
  for (const [text, name, code] of [
    ["let counter = 1; counter += 1;", "counter", "CODE_MUTABLE_OUTER"],
    ["const made = Date.now();", "made", "CODE_COMPUTED_CONSTANT"],
    ["", "Date", "CODE_IMPURE_GLOBAL"],
    ["", "Math", "CODE_IMPURE_GLOBAL"],
    ['import { readFileSync } from "node:fs";', "readFileSync", "CODE_IMPURE_GLOBAL"],
    ['import { none } from "./constants.ts";', "none", "CODE_UNSUPPORTED"],
    ['import { lost } from "./nowhere.ts";', "lost", "CODE_UNSUPPORTED"],
  ] as const) {
    const file = `refused-${name}.ts`;
    const found = codeOf(() => {
      const module = ModuleSource.at(write(file, text));
      const meaning = new ModuleNames(module, []).resolve(name, module.program) as Declaration;
      return meaning.form;
    });
    expect([name, found]).toEqual([name, expect.objectContaining({ code })]);
    expect(String(found)).toContain(`${file}:1: `);
  }
});

test("a name of the function around is captured, and a write to data is refused", () => {
  const module = ModuleSource.at(
    write("around.ts", "const list = [1]; function f(a) { return () => a; }"),
  );
  const arrow = module.functions[1]!;
  const names = new ModuleNames(module, arrow.ancestors);
  expect(codeOf(() => names.resolve("a", arrow.node))).toMatchObject({
    code: "CODE_CAPTURED_VARIABLE",
  });
  for (const how of ["assigned", "changed"] as const) {
    expect(codeOf(() => names.refuseWrite("list", arrow.node, how))).toMatchObject({
      code: "CODE_MUTABLE_OUTER",
    });
  }
});

test("isInPackage() is true of what is installed, and never of this package's own modules", () => {
  expect(isInPackage("/somewhere/node_modules/pack/main.js")).toBe(true);
  expect(isInPackage("/somewhere/strategies/mine.ts")).toBe(false);
  expect(isInPackage(join(repository, "nodes/index.ts"))).toBe(false);
  expect(isInPackage(join(repository, "node_modules/zod/index.js"))).toBe(true);
});
