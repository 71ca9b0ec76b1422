import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { canonicalForm } from "../../../../runtime/graph/code/canonical-tree.ts";
import { ModuleSource } from "../../../../runtime/graph/code/module-source.ts";
import { scratchDirectory } from "../../../harness/scratch.ts";

const directory = scratchDirectory();
let files = 0;

/** Form of the first function in `text`: outer names become references, in order. */
function formOf(text: string) {
  files += 1;
  const path = join(directory, `m${files}.ts`);
  writeFileSync(path, text);
  const module = ModuleSource.at(path);
  const names = {
    resolve: (name: string) => ({ outer: name }),
    member: () => undefined,
    refuseWrite: (name: string) => {
      throw new Error(`writes ${name}`);
    },
  };
  return canonicalForm<{ outer: string }>(module.functions[0]!.node, {
    module,
    names,
    isThisOutside: true,
  });
}

const textOf = (text: string) => formOf(text).parts.join("<>");

test("types, comments, layout, quotes, braces and local names leave no trace (F1)", () => {
  const plain = textOf("(a, b) => { if (a) return 'x'; return b; }");
  expect(textOf('(one: number, /* 2 */ two) => {\n  if (one) { return "x" }\n return two }')).toBe(
    plain,
  );
  // Which names are equal matters.
  expect(textOf("(a, b) => { if (a) return 'x'; return a; }")).not.toBe(plain);
  expect(textOf("(a, b) => { if (a) return 'y'; return b; }")).not.toBe(plain);
});

test("an outer name is a gap in the text, and a reference in its place", () => {
  const { parts, references } = formOf("(a) => scale * a + offset * scale");
  expect(references).toEqual([{ outer: "scale" }, { outer: "offset" }, { outer: "scale" }]);
  expect(parts).toHaveLength(4);
  expect(parts.join("")).not.toContain("scale");
});

test("a function's own name is its depth, not its text", () => {
  const form = textOf("function f(n) { return n === 0 ? 0 : f(n - 1); }");
  expect(textOf("function other(n) { return n === 0 ? 0 : other(n - 1); }")).toBe(form);
  expect(formOf("function f(n) { return f(n - 1); }").references).toEqual([]);
});

test("numbers are equal by value, and what is added is not lost", () => {
  expect(textOf("() => 0x10")).toBe(textOf("() => 16.0"));
  expect(textOf("() => 16n")).not.toBe(textOf("() => 16"));
  expect(textOf("() => -0")).not.toBe(textOf("() => 0"));
  expect(textOf("(a) => a?.b")).not.toBe(textOf("(a) => a.b"));
  expect(textOf("(a, b) => a ?? b")).not.toBe(textOf("(a, b) => a || b"));
});

test("what has no meaning of its own in the text is refused by name (F2)", () => {
  for (const [text, code] of [
    ["async () => 1", "CODE_ASYNC"],
    ["function f() { return this; }", "CODE_USES_THIS"],
    ["() => import('x')", "CODE_UNSUPPORTED"],
  ] as const) {
    let found: unknown;
    try {
      formOf(text);
    } catch (error) {
      found = error;
    }
    expect([text, found]).toEqual([text, expect.objectContaining({ code })]);
  }
  expect(() => formOf("() => { outer = 1; }")).toThrow("writes outer");
});
