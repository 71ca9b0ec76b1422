import { expect, test } from "bun:test";
import {
  assignedTargets,
  changedTargets,
  isCaptured,
  patternNames,
  scopesOf,
  writesOf,
} from "../../../../runtime/graph/code/scope.ts";
import {
  nodeAt,
  nodesAt,
  parse,
  type SyntaxNode,
  textAt,
  walk,
} from "../../../../runtime/graph/code/syntax.ts";

/** The first node of `type` in `text`, and the nodes around it. */
function first(text: string, type: string): { node: SyntaxNode; ancestors: readonly SyntaxNode[] } {
  const found: { node: SyntaxNode; ancestors: readonly SyntaxNode[] }[] = [];
  walk(parse("a.ts", text), (node, ancestors) => {
    if (node.type === type) found.push({ node, ancestors: [...ancestors] });
    return undefined;
  });
  return found[0]!;
}

test("patternNames() are the names that a pattern declares, however deep", () => {
  const { node } = first(
    "const { a, b: { c = 1 }, ...d } = x, [e, , [f], ...g] = y;",
    "VariableDeclaration",
  );
  const names = nodesAt(node, "declarations").flatMap((one) => patternNames(nodeAt(one, "id")));
  expect(names).toEqual(["a", "c", "d", "e", "f", "g"]);
});

test("a function's parameters and own name are around its body; var is the body's, let a block's", () => {
  const text = "function f(a, { b }) { let c; if (a) { var d; let e; } function g() { var h; } }";
  const { node, ancestors } = first(text, "FunctionDeclaration");
  expect(scopesOf(node, ancestors.at(-1))).toEqual([[], ["arguments", "a", "b"]]);
  // Looked at by itself its name is its own.
  expect(scopesOf(node, undefined)).toEqual([["f"], ["arguments", "a", "b"]]);
  expect(scopesOf(nodeAt(node, "body")!, node)).toEqual([["c", "g", "d"]]);
  const inner = first(text, "IfStatement");
  const block = nodeAt(inner.node, "consequent")!;
  expect(scopesOf(block, inner.node)).toEqual([["e"]]);
});

test("an arrow has no arguments; loops, catch and switch have scopes of their own", () => {
  expect(scopesOf(first("(a) => a", "ArrowFunctionExpression").node, undefined)).toEqual([
    [],
    ["a"],
  ]);
  for (const [text, type, names] of [
    ["for (let i = 0; ; ) {}", "ForStatement", ["i"]],
    ["for (const [k] of x) {}", "ForOfStatement", ["k"]],
    ["for (var v in x) {}", "ForInStatement", []],
    ["try {} catch ({ message }) {}", "CatchClause", ["message"]],
    ["switch (1) { case 1: let s; default: const t = 1; }", "SwitchStatement", ["s", "t"]],
    ["import a, { b as c } from 'd'; export class E {} var f;", "Program", ["a", "c", "E", "f"]],
  ] as const) {
    expect([text, ...scopesOf(first(text, type).node, undefined)]).toEqual([text, [...names]]);
  }
});

test("isCaptured() is true of a name that belongs to a function around, not of the module's own", () => {
  const text = "const top = 1; function f(a) { const b = 2; return (c) => a + b + c + top; }";
  const { ancestors } = first(text, "ArrowFunctionExpression");
  expect(["a", "b", "f", "top"].map((name) => isCaptured(name, ancestors))).toEqual([
    true,
    true,
    false,
    false,
  ]);
});

test("targets of writes are the roots of what is assigned, deleted, counted or defined", () => {
  const rootsOf = (text: string, type: string) =>
    assignedTargets(first(text, type).node).map((node) => textAt(node, "name"));
  expect(rootsOf("a.b[0].c += 1", "AssignmentExpression")).toEqual(["a"]);
  expect(rootsOf("[a, b.c, { d: e = 1, ...f }] = x", "AssignmentExpression")).toEqual([
    "a",
    "b",
    "e",
    "f",
  ]);
  expect(rootsOf("(a as any).b++", "UpdateExpression")).toEqual(["a"]);
  expect(rootsOf("delete a.b", "UnaryExpression")).toEqual(["a"]);
  expect(rootsOf("-a.b", "UnaryExpression")).toEqual([]);
  expect(rootsOf("for (a.b of x) {}", "ForOfStatement")).toEqual(["a"]);
  expect(rootsOf("for (const a of x) {}", "ForOfStatement")).toEqual([]);
  expect(rootsOf("Object.assign(a.b, c)", "CallExpression")).toEqual(["a"]);
  expect(rootsOf("other.assign(a)", "CallExpression")).toEqual([]);
  const { node } = first("a.b.push(1)", "CallExpression");
  expect(changedTargets(node).map((target) => textAt(target, "name"))).toEqual(["a"]);
  expect(changedTargets(first("a.map(f)", "CallExpression").node)).toEqual([]);
});

test("writesOf() finds the module's own names alone", () => {
  const { assigned, changed } = writesOf(
    parse(
      "a.ts",
      "let a = 1; const b = [], c = {}; a = 2; b.push(1); function f(a, b) { a = 3; b.pop(); c.d = 1; }",
    ),
  );
  expect([[...assigned], [...changed]]).toEqual([["a", "c"], ["b"]]);
});
