import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { ModuleSource } from "../../../../runtime/graph/code/module-source.ts";
import { scratchDirectory } from "../../../harness/scratch.ts";

const directory = scratchDirectory();

function moduleOf(name: string, text: string): ModuleSource {
  const path = join(directory, name);
  writeFileSync(path, text);
  return ModuleSource.at(path);
}

test("a name at the top is an import or a declaration; types are no names", () => {
  const { bindings } = moduleOf(
    "names.ts",
    `import whole, { a as b, type T } from "./x.ts"; import * as all from "./y.ts"; import type { U } from "./z.ts";
     const { c, d: [e] } = whole; let f = 1; function g() {} class H {} type I = 1; interface J {}
     enum K { one = 1 } enum K { two = 2 }`,
  );
  const shown = [...bindings].map(([name, binding]) =>
    binding.kind === "import"
      ? [name, `${binding.from}#${binding.name}`]
      : [name, `${binding.keyword} ${binding.nodes.length}`],
  );
  expect(Object.fromEntries(shown)).toEqual({
    whole: "./x.ts#default",
    b: "./x.ts#a",
    all: "./y.ts#*",
    c: "const 1",
    e: "const 1",
    f: "let 1",
    g: "function 1",
    H: "class 1",
    // An enum that is declared in parts is all of them.
    K: "enum 2",
  });
});

test("an export is a name of the module or of another one", () => {
  const { exports, stars } = moduleOf(
    "exports.ts",
    `export const a = 1; const b = 2; export { b as c }; export { d as e } from "./x.ts";
     export * from "./y.ts"; export * as f from "./z.ts"; export default () => 1; export type T = 1;`,
  );
  expect(Object.fromEntries(exports)).toEqual({
    a: "a",
    c: "b",
    e: { from: "./x.ts", name: "d" },
    f: { from: "./z.ts", name: "*" },
    default: "*default*",
  });
  expect(stars).toEqual(["./y.ts"]);
});

test("functions are found in the order of the source, with what is around them", () => {
  const module = moduleOf(
    "functions.ts",
    "function a() { return () => 1; }\nconst o = { m() {} };\ndeclare function none(): void;",
  );
  expect(module.functions.map(({ node, ancestors }) => [node.type, ancestors.length])).toEqual([
    ["FunctionDeclaration", 1],
    ["ArrowFunctionExpression", 4],
    ["FunctionExpression", 5],
  ]);
});

test("a place is file and line, and a refusal begins with it", () => {
  const module = moduleOf("place.ts", "const a = 1;\n\nconst b = 2;\n");
  const [binding] = [module.bindings.get("b")].filter((one) => one?.kind === "declaration");
  const node = binding?.kind === "declaration" ? binding.nodes[0] : module.program;
  expect(module.placeOf(node)).toEndWith("place.ts:3");
  expect(() => module.refuse("CODE_UNSUPPORTED", node, "it is two", "b")).toThrow(
    /place\.ts:3: it is two$/,
  );
});

test("a module is read once, and one that is not there or no code is an error", () => {
  expect(ModuleSource.at(join(directory, "place.ts"))).toBe(
    ModuleSource.at(join(directory, "place.ts")),
  );
  expect(() => ModuleSource.at(join(directory, "none.ts"))).toThrow("ENOENT");
  expect(() => moduleOf("broken.ts", "const = 1")).toThrow(SyntaxError);
});
