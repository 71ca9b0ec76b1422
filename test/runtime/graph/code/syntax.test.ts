import { expect, test } from "bun:test";
import {
  childrenOf,
  isFunction,
  isTypeOnly,
  keyName,
  nodeAt,
  nodesAt,
  parse,
  type SyntaxNode,
  textAt,
  unwrapped,
  walk,
} from "../../../../runtime/graph/code/syntax.ts";

const statementsOf = (text: string) => nodesAt(parse("a.ts", text), "body");
/** The expression that `text` is. */
const expressionOf = (text: string): SyntaxNode =>
  nodeAt(statementsOf(`(${text});`)[0]!, "expression")!;

test("parse() names the file of what is no code, and knows the language by its ending", () => {
  expect(() => parse("broken.ts", "const = 1")).toThrow(/^broken\.ts: /);
  expect(() => parse("plain.js", "const a: number = 1")).toThrow("plain.js");
  expect(statementsOf("const a: number = 1; a;").map(({ type }) => type)).toEqual([
    "VariableDeclaration",
    "ExpressionStatement",
  ]);
});

test("walk() goes down in the order of the source, with the nodes around, and leaves out what it is told", () => {
  const names = (skips: string): string[] => {
    const found: string[] = [];
    walk(parse("a.ts", "f(a, g(b), c);"), (node, ancestors) => {
      if (node.type === "Identifier") found.push(`${textAt(node, "name")}${ancestors.length}`);
      return textAt(nodeAt(node, "callee"), "name") !== skips;
    });
    return found;
  };
  // Program, statement, call, and for b the inner call.
  expect(names("nothing")).toEqual(["f3", "a3", "g4", "b4", "c3"]);
  expect(names("g")).toEqual(["f3", "a3", "c3"]);
});

test("holes of arrays are no nodes, and what has no text has an empty one", () => {
  expect(nodesAt(expressionOf("[1, , 2]"), "elements")).toHaveLength(2);
  expect(childrenOf(expressionOf("[1, , 2]"))).toHaveLength(2);
  expect(textAt(expressionOf("1"), "name")).toBe("");
  expect(textAt(undefined, "name")).toBe("");
});

test("unwrapped() takes off what only the type checker sees", () => {
  for (const text of ["a as B", "a satisfies B", "a!", "(a as B)! satisfies C", "a<B>"]) {
    expect(unwrapped(expressionOf(text)).type).toBe("Identifier");
  }
  expect(unwrapped(expressionOf("-a")).type).toBe("UnaryExpression");
});

test("isTypeOnly() is true of what vanishes, and of nothing that runs", () => {
  const only = ["type A = 1", "interface A {}", "declare const a: number", "declare class A {}"];
  for (const text of only) expect([text, isTypeOnly(statementsOf(text)[0]!)]).toEqual([text, true]);
  for (const text of [
    "enum A { B }",
    "class A {}",
    "const a = 1 as number",
    "namespace A { f(); }",
  ]) {
    expect([text, isTypeOnly(statementsOf(text)[0]!)]).toEqual([text, false]);
  }
});

test("isFunction() is true of arrows, expressions and declarations", () => {
  expect(isFunction(expressionOf("() => 1"))).toBe(true);
  expect(isFunction(expressionOf("function () {}"))).toBe(true);
  expect(isFunction(statementsOf("function f() {}")[0])).toBe(true);
  expect(isFunction(expressionOf("class { m() {} }"))).toBe(false);
  expect(isFunction(undefined)).toBe(false);
});

test("keyName() is a key's text, however it is written, unless it is computed", () => {
  const keysOf = (text: string) =>
    nodesAt(expressionOf(text), "properties").map((property) =>
      keyName(nodeAt(property, "key"), property["computed"] === true),
    );
  expect(keysOf(`{ a: 1, "b c": 2, 3: 4, ["d"]: 5, [e]: 6, [7]: 8 }`)).toEqual([
    "a",
    "b c",
    "3",
    "d",
    undefined,
    undefined,
  ]);
  const [field] = nodesAt(nodeAt(expressionOf("class { #secret = 1 }"), "body")!, "body");
  expect(keyName(nodeAt(field!, "key"), false)).toBe("#secret");
});
