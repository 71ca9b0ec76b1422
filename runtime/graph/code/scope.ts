import { isFunction, nodeAt, nodesAt, type SyntaxNode, textAt, unwrapped, walk } from "./syntax.ts";

/** Names that a binding pattern declares: `x`, `{ a: [b], ...c }`, `d = 1`. */
export function patternNames(pattern: SyntaxNode | undefined): readonly string[] {
  if (pattern === undefined) return [];
  switch (pattern.type) {
    case "Identifier":
      return [textAt(pattern, "name")];
    case "ObjectPattern":
      return nodesAt(pattern, "properties").flatMap((property) =>
        patternNames(nodeAt(property, property.type === "RestElement" ? "argument" : "value")),
      );
    case "ArrayPattern":
      return nodesAt(pattern, "elements").flatMap(patternNames);
    case "AssignmentPattern":
      return patternNames(nodeAt(pattern, "left"));
    case "RestElement":
      return patternNames(nodeAt(pattern, "argument"));
    case "TSParameterProperty":
      return patternNames(nodeAt(pattern, "parameter"));
    default:
      return [];
  }
}

/**
 * The scopes that `node` opens, outermost first, each as the names it declares. `var` belongs to
 * the body of its function, unless a parameter has the same name: then both are one variable. The
 * name of a function expression, or of a declaration looked at by itself (no `parent`), has a scope
 * of its own around the parameters.
 */
export function scopesOf(
  node: SyntaxNode,
  parent: SyntaxNode | undefined,
): readonly (readonly string[])[] {
  if (isFunction(node)) return scopesOfFunction(node, parent);
  switch (node.type) {
    case "Program":
      return [[...lexicalNames(nodesAt(node, "body")), ...hoistedNames(node)]];
    case "BlockStatement":
      return [bodyNames(node, parent)];
    case "StaticBlock":
      return [[...lexicalNames(nodesAt(node, "body")), ...hoistedNames(node)]];
    case "ClassExpression":
      return [patternNames(nodeAt(node, "id"))];
    case "CatchClause":
      return [patternNames(nodeAt(node, "param"))];
    case "ForStatement":
      return [lexicalNames([nodeAt(node, "init")])];
    case "ForInStatement":
    case "ForOfStatement":
      return [lexicalNames([nodeAt(node, "left")])];
    case "SwitchStatement":
      return [lexicalNames(nodesAt(node, "cases").flatMap((one) => nodesAt(one, "consequent")))];
    default:
      return [];
  }
}

function scopesOfFunction(
  node: SyntaxNode,
  parent: SyntaxNode | undefined,
): readonly (readonly string[])[] {
  const names = parameterNames(node);
  const isAround = node.type === "FunctionDeclaration" && parent !== undefined;
  const own = isAround ? [] : patternNames(nodeAt(node, "id"));
  return [own, node.type === "ArrowFunctionExpression" ? names : ["arguments", ...names]];
}

function parameterNames(node: SyntaxNode): readonly string[] {
  return nodesAt(node, "params").flatMap(patternNames);
}

function bodyNames(block: SyntaxNode, parent: SyntaxNode | undefined): readonly string[] {
  const names = lexicalNames(nodesAt(block, "body"));
  if (parent === undefined || !isFunction(parent) || nodeAt(parent, "body") !== block) {
    return names;
  }
  const parameters = new Set(parameterNames(parent));
  return [...names, ...hoistedNames(block).filter((name) => !parameters.has(name))];
}

const declarationTypes: ReadonlySet<string> = new Set([
  "FunctionDeclaration",
  "ClassDeclaration",
  "TSEnumDeclaration",
]);

/** Names that `let`, `const`, `function`, `class` and `enum` declare directly in `statements`. */
function lexicalNames(statements: readonly (SyntaxNode | undefined)[]): readonly string[] {
  return statements.flatMap((statement) => {
    if (statement === undefined) return [];
    const exported = statement.type.startsWith("Export")
      ? nodeAt(statement, "declaration")
      : undefined;
    const node = exported ?? statement;
    if (node.type === "ImportDeclaration") {
      return nodesAt(node, "specifiers").map((one) => textAt(nodeAt(one, "local"), "name"));
    }
    if (declarationTypes.has(node.type)) return patternNames(nodeAt(node, "id"));
    if (node.type !== "VariableDeclaration" || textAt(node, "kind") === "var") return [];
    return nodesAt(node, "declarations").flatMap((one) => patternNames(nodeAt(one, "id")));
  });
}

/** Names that `var` declares anywhere below `node`, not inside of functions below it. */
function hoistedNames(node: SyntaxNode): readonly string[] {
  const names = new Set<string>();
  walk(node, (below) => {
    if (below !== node && (isFunction(below) || below.type === "StaticBlock")) return false;
    if (below.type === "VariableDeclaration" && textAt(below, "kind") === "var") {
      for (const one of nodesAt(below, "declarations")) {
        for (const name of patternNames(nodeAt(one, "id"))) names.add(name);
      }
    }
    return true;
  });
  return [...names];
}

/** True if one of `ancestors` below the module itself declares `name`: a captured variable. */
export function isCaptured(name: string, ancestors: readonly SyntaxNode[]): boolean {
  return ancestors.some((node, depth) => {
    if (node.type === "Program") return false;
    return scopesOf(node, ancestors[depth - 1]).some((names) => names.includes(name));
  });
}

/** Names at the top of a module that it writes to. */
export interface Writes {
  /** The variable is assigned, or something below it is: `x = 1`, `x.a.b += 1`, `delete x.a`. */
  readonly assigned: ReadonlySet<string>;
  /** A method that changes arrays in place is called on it: `x.push(1)`. */
  readonly changed: ReadonlySet<string>;
}

/** What the module `program` writes to. Cost: one walk of the tree. */
export function writesOf(program: SyntaxNode): Writes {
  const assigned = new Set<string>();
  const changed = new Set<string>();
  walk(program, (node, ancestors) => {
    const around = [...ancestors, node];
    const note = (targets: readonly SyntaxNode[], names: Set<string>): void => {
      for (const target of targets) {
        const name = textAt(target, "name");
        if (!isCaptured(name, around)) names.add(name);
      }
    };
    note(assignedTargets(node), assigned);
    note(changedTargets(node), changed);
    return undefined;
  });
  return { assigned, changed };
}

/** The identifier at the root of `a`, `a.b`, `a[0].b`; undefined if it is something else. */
function rootIdentifier(node: SyntaxNode | undefined): SyntaxNode | undefined {
  if (node === undefined) return undefined;
  const inner = unwrapped(node);
  if (inner.type === "Identifier") return inner;
  if (inner.type === "ChainExpression") return rootIdentifier(nodeAt(inner, "expression"));
  return inner.type === "MemberExpression" ? rootIdentifier(nodeAt(inner, "object")) : undefined;
}

/**
 * Root identifiers of what `node` writes to: the targets of assignments, `++`, `delete`, loops over
 * existing variables and `Object.assign`.
 */
export function assignedTargets(node: SyntaxNode): readonly SyntaxNode[] {
  switch (node.type) {
    case "AssignmentExpression":
    case "ForInStatement":
    case "ForOfStatement":
      return targetsOf(nodeAt(node, "left"));
    case "UpdateExpression":
      return targetsOf(nodeAt(node, "argument"));
    case "UnaryExpression":
      return textAt(node, "operator") === "delete" ? targetsOf(nodeAt(node, "argument")) : [];
    case "CallExpression":
      return targetsOfObjectCall(node);
    default:
      return [];
  }
}

function targetsOf(node: SyntaxNode | undefined): readonly SyntaxNode[] {
  if (node === undefined || node.type === "VariableDeclaration") return [];
  const inner = unwrapped(node);
  switch (inner.type) {
    case "ObjectPattern":
      return nodesAt(inner, "properties").flatMap((one) =>
        targetsOf(nodeAt(one, one.type === "RestElement" ? "argument" : "value")),
      );
    case "ArrayPattern":
      return nodesAt(inner, "elements").flatMap(targetsOf);
    case "AssignmentPattern":
      return targetsOf(nodeAt(inner, "left"));
    case "RestElement":
      return targetsOf(nodeAt(inner, "argument"));
    default:
      return [rootIdentifier(inner)].filter((root) => root !== undefined);
  }
}

const arrayChanges: ReadonlySet<string> = new Set(
  "push pop shift unshift splice sort reverse fill copyWithin".split(" "),
);
const objectChanges: ReadonlySet<string> = new Set(
  "assign defineProperty defineProperties setPrototypeOf".split(" "),
);

/** Root identifiers whose array `node` may change in place by one of the array's methods. */
export function changedTargets(node: SyntaxNode): readonly SyntaxNode[] {
  const callee = nodeAt(node, "callee");
  if (node.type !== "CallExpression" || callee?.type !== "MemberExpression") return [];
  if (!arrayChanges.has(textAt(nodeAt(callee, "property"), "name"))) return [];
  return targetsOf(nodeAt(callee, "object"));
}

function targetsOfObjectCall(node: SyntaxNode): readonly SyntaxNode[] {
  const callee = nodeAt(node, "callee");
  if (callee?.type !== "MemberExpression") return [];
  if (!objectChanges.has(textAt(nodeAt(callee, "property"), "name"))) return [];
  const isObject = textAt(nodeAt(callee, "object"), "name") === "Object";
  return isObject ? targetsOf(nodesAt(node, "arguments")[0]) : [];
}
