import { parseSync } from "oxc-parser";

/** A node of the syntax tree (ESTree with TypeScript nodes); `start` and `end` are offsets. */
export interface SyntaxNode {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly [key: string]: unknown;
}

/** Tree of `text`; the ending of `path` says which language it is. Cost: about 1 ms for 50 KB. */
export function parse(path: string, text: string): SyntaxNode {
  const parsed = parseSync(path, text, { preserveParens: false });
  const fault = parsed.errors[0];
  if (fault !== undefined) throw new SyntaxError(`${path}: ${fault.message}`);
  const program: unknown = parsed.program;
  if (!isNode(program)) throw new SyntaxError(`${path}: the parser gave no tree`);
  return program;
}

/** True for a node of the tree. */
export function isNode(value: unknown): value is SyntaxNode {
  return (
    typeof value === "object" &&
    value !== null &&
    "type" in value &&
    typeof value.type === "string" &&
    "start" in value
  );
}

/** The node under `key`, undefined if there is none. */
export function nodeAt(node: SyntaxNode, key: string): SyntaxNode | undefined {
  const value = node[key];
  return isNode(value) ? value : undefined;
}

/** The nodes of the list under `key`; holes of arrays are left out. */
export function nodesAt(node: SyntaxNode, key: string): readonly SyntaxNode[] {
  const value = node[key];
  return Array.isArray(value) ? value.filter(isNode) : [];
}

/** The text under `key`, empty if it is none. */
export function textAt(node: SyntaxNode | undefined, key: string): string {
  const value = node?.[key];
  return typeof value === "string" ? value : "";
}

/** All nodes directly below `node`, types among them, in the order of the source. */
export function childrenOf(node: SyntaxNode): readonly SyntaxNode[] {
  return Object.keys(node)
    .flatMap((key) => node[key])
    .filter(isNode);
}

/** Visits `node` and all below it; `visit` gives false to leave out what is below. */
export function walk(
  node: SyntaxNode,
  visit: (node: SyntaxNode, ancestors: readonly SyntaxNode[]) => boolean | undefined,
  ancestors: SyntaxNode[] = [],
): void {
  if (visit(node, ancestors) === false) return;
  ancestors.push(node);
  for (const child of childrenOf(node)) walk(child, visit, ancestors);
  ancestors.pop();
}

const functionTypes: ReadonlySet<string> = new Set([
  "FunctionDeclaration",
  "FunctionExpression",
  "ArrowFunctionExpression",
]);

/** True for functions that have a body: declarations, expressions, methods' values and arrows. */
export function isFunction(node: SyntaxNode | undefined): boolean {
  return node !== undefined && functionTypes.has(node.type);
}

const wrappers: ReadonlySet<string> = new Set([
  "TSAsExpression",
  "TSSatisfiesExpression",
  "TSNonNullExpression",
  "TSTypeAssertion",
  "TSInstantiationExpression",
]);

/** The expression below `as`, `satisfies`, `!` and the like. */
export function unwrapped(node: SyntaxNode): SyntaxNode {
  const inner = wrappers.has(node.type) ? nodeAt(node, "expression") : undefined;
  return inner === undefined ? node : unwrapped(inner);
}

/** True for nodes that exist for the type checker alone. */
export function isTypeOnly(node: SyntaxNode): boolean {
  if (wrappers.has(node.type)) return false;
  if (node["declare"] === true) return true;
  if (nodeAt(node, "value")?.type === "TSEmptyBodyFunctionExpression") return true;
  return (
    node.type.startsWith("TS") &&
    node.type !== "TSEnumDeclaration" &&
    node.type !== "TSParameterProperty" &&
    !node.type.startsWith("TSModule") &&
    !node.type.startsWith("TSImportEquals")
  );
}

/** Name of a key or member as text: an identifier, a string or a number; undefined if computed. */
export function keyName(written: SyntaxNode | undefined, isComputed: boolean): string | undefined {
  if (written === undefined) return undefined;
  const key = unwrapped(written);
  if (key.type === "Literal" && (typeof key["value"] === "string" || !isComputed)) {
    return String(key["value"]);
  }
  if (isComputed) return undefined;
  return key.type === "PrivateIdentifier" ? `#${textAt(key, "name")}` : textAt(key, "name");
}
