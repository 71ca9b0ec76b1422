import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname } from "node:path";
import { isInPackage } from "./meaning.ts";
import { ModuleSource, type SourceFunction } from "./module-source.ts";
import {
  isFunction,
  isNode,
  keyName,
  nodeAt,
  nodesAt,
  parse,
  type SyntaxNode,
  textAt,
  walk,
} from "./syntax.ts";

/** Where a function may have been written. */
export interface FoundFunction {
  readonly module: ModuleSource;
  readonly source: SourceFunction;
}

/**
 * The functions of loaded modules that run as `run` does: usually one, none if it was not written
 * in a module, several if the same text stands in more than one place.
 *
 * What runs is not what is written: the transpiler drops types, folds constants and removes dead
 * code. So each module is transpiled again with a mark in each function, and the text of `run` is
 * looked up among the results, as a tree, so that layout does not matter.
 */
export function findFunction(run: {
  readonly name: string;
  toString(): string;
}): readonly FoundFunction[] {
  const text = run.toString();
  const shape = shapeOfText(text);
  if (shape === undefined) return [];
  const words = new Set([...text.matchAll(/\.([A-Za-z_$][\w$]*)/g)].map(([, word]) => word ?? ""));
  const known = loadedPaths();
  const near = known.filter((path) => kindOf(path) === "own");
  const found = matchesIn(near, words, shape);
  if (found.length > 0) return bestNamed(found, run.name);
  // Under coverage and debuggers functions run as written, without the transpiler's clean-up.
  const cleaned = cleanedShapeOf(text);
  const again = cleaned === undefined ? [] : matchesIn(near, words, cleaned);
  if (again.length > 0) return bestNamed(again, run.name);
  const far = [...known, ...importedPaths(near)].filter((path) => !near.includes(path));
  return bestNamed(matchesIn([...new Set(far)], words, shape), run.name);
}

function matchesIn(
  paths: readonly string[],
  words: ReadonlySet<string>,
  shape: string,
): readonly FoundFunction[] {
  return paths.flatMap((path) => {
    const text = textOf(path);
    const module = hasAll(text, words) ? readable(path) : undefined;
    if (module === undefined) return [];
    return (shapesOf(module).get(shape) ?? []).map((source) => ({ module, source }));
  });
}

function hasAll(text: string, words: ReadonlySet<string>): boolean {
  for (const word of words) if (!text.includes(word)) return false;
  return text !== "";
}

const texts = new Map<string, string>();

/** Text of a module, empty if it cannot be read: most are left out before they are parsed. */
function textOf(path: string): string {
  const known = texts.get(path);
  if (known !== undefined) return known;
  const text = existsSync(path) ? readFileSync(path, "utf8") : "";
  texts.set(path, text);
  return text;
}

/** A module that cannot be read holds no function we could identify. */
function readable(path: string): ModuleSource | undefined {
  try {
    return ModuleSource.at(path);
  } catch {
    return undefined;
  }
}

/** Functions that got the name of `run` where they stand, if there are any; all, if not. */
function bestNamed(found: readonly FoundFunction[], name: string): readonly FoundFunction[] {
  const named = found.filter(({ source }) => inferredName(source) === name);
  return named.length > 0 ? named : found;
}

function inferredName({ node, ancestors }: SourceFunction): string | undefined {
  const own = textAt(nodeAt(node, "id"), "name");
  if (own !== "") return own;
  const parent = ancestors.at(-1);
  if (parent === undefined) return undefined;
  if (parent.type === "VariableDeclarator") return textAt(nodeAt(parent, "id"), "name");
  return keyName(nodeAt(parent, "key"), parent["computed"] === true);
}

const modules: object = createRequire(import.meta.url).cache;

/**
 * Files of the modules that are loaded: those of the module cache; the entry, which is not in the
 * cache while it runs; and those on the stack, for modules that declare nodes as they load.
 */
function loadedPaths(): readonly string[] {
  const paths = new Set(Object.keys(modules));
  paths.add(Bun.main);
  for (const match of (new Error("stack").stack ?? "").matchAll(/(\/[^():]+):\d+:\d+/g)) {
    paths.add(match[1] ?? "");
  }
  return [...paths].filter((path) => kindOf(path) !== "other");
}

/** `own`: a module of the user or of the SDK; `package`: of an installed package; else no source. */
type PathKind = "own" | "package" | "other";

/** The runtime calls what users write and declares no node itself: its hundred modules are left out. */
const runtimeFolder = new URL("../../", import.meta.url).pathname;

const kinds = new Map<string, PathKind>();

function kindOf(path: string): PathKind {
  const known = kinds.get(path);
  if (known !== undefined) return known;
  const isSource = /\.[cm]?[jt]sx?$/.test(path) && !path.startsWith(runtimeFolder);
  const kind = isSource ? (isInPackage(path) ? "package" : "own") : "other";
  kinds.set(path, kind);
  return kind;
}

/** Modules that `paths` import, near and far, for those that are still loading. */
function importedPaths(paths: readonly string[]): readonly string[] {
  const all = new Set(paths);
  for (const path of all) {
    const module = kindOf(path) === "own" ? readable(path) : undefined;
    if (module === undefined) continue;
    for (const statement of nodesAt(module.program, "body")) {
      const from = textAt(nodeAt(statement, "source"), "value");
      const imported = from.startsWith(".") ? pathOf(from, path) : undefined;
      if (imported !== undefined) all.add(imported);
    }
  }
  return [...all].filter((path) => kindOf(path) !== "other");
}

function pathOf(from: string, path: string): string | undefined {
  try {
    return Bun.resolveSync(from, dirname(path));
  } catch {
    // A module that is not there holds no function.
    return undefined;
  }
}

type Shapes = ReadonlyMap<string, readonly SourceFunction[]>;

const shapesByModule = new WeakMap<ModuleSource, Shapes>();
const mark = "__qmtl_function_";

/** Functions of `module` by the shape in which they run. Cost: 1 to 10 ms, once a module. */
function shapesOf(module: ModuleSource): Shapes {
  const known = shapesByModule.get(module);
  if (known !== undefined) return known;
  const shapes = new Map<string, SourceFunction[]>();
  shapesByModule.set(module, shapes);
  const text = transpiled(markedText(module), module.path);
  const program = text === undefined ? undefined : parse("marked.js", text);
  if (program === undefined) return shapes;
  walk(program, (node) => {
    const name = isFunction(node) ? textAt(nodesAt(node, "params")[0], "name") : "";
    const source = name.startsWith(mark)
      ? module.functions[Number(name.slice(mark.length))]
      : undefined;
    if (source !== undefined) {
      const shape = shapeOf(node);
      shapes.set(shape, [...(shapes.get(shape) ?? []), source]);
    }
    return undefined;
  });
  return shapes;
}

/** Text of `module` with a first parameter in each function that says which function it is. */
function markedText(module: ModuleSource): string {
  const edits = module.functions.flatMap((source, i) =>
    editsOf(module.text, source, `${mark}${i}`),
  );
  let text = "";
  let at = 0;
  for (const [offset, added] of edits.toSorted(([a], [b]) => a - b)) {
    text += module.text.slice(at, offset) + added;
    at = offset;
  }
  return text + module.text.slice(at);
}

type Edit = readonly [offset: number, added: string];

function editsOf(text: string, { node, ancestors }: SourceFunction, name: string): readonly Edit[] {
  const kind = textAt(ancestors.at(-1), "kind");
  if (kind === "get" || kind === "set") return [];
  const [first] = nodesAt(node, "params");
  const typed = nodeAt(node, "typeParameters") ?? nodeAt(node, "id");
  const from = typed?.end ?? node.start;
  if (first === undefined) return [[text.indexOf("(", from) + 1, name]];
  if (textAt(first, "name") === "this") return [[first.end, `, ${name}`]];
  if (text.slice(from, first.start).includes("(")) return [[first.start, `${name}, `]];
  return [
    [first.start, `(${name}, `],
    [first.end, ")"],
  ];
}

function transpiled(text: string, path: string): string | undefined {
  const loader = path.endsWith("x") ? "tsx" : /\.[cm]?ts$/.test(path) ? "ts" : "jsx";
  try {
    return new Bun.Transpiler({ loader, target: "bun", inline: true }).transformSync(text);
  } catch {
    return undefined;
  }
}

/** Shape of what `toString()` of a function gives: an expression or a method. */
function shapeOfText(text: string): string | undefined {
  for (const whole of [`(${text})`, `({${text}})`, `(class {${text}})`]) {
    const shape = shapeOfFirst(whole);
    if (shape !== undefined) return shape;
  }
  return undefined;
}

/** Shape of the text once more transpiled: what the function would be without a debugger. */
function cleanedShapeOf(text: string): string | undefined {
  for (const whole of [`(${text})`, `({${text}})`, `(class {${text}})`]) {
    const cleaned = transpiled(`export default ${whole};`, "text.js");
    if (cleaned !== undefined) return shapeOfFirst(cleaned);
  }
  return undefined;
}

function shapeOfFirst(text: string): string | undefined {
  let shape: string | undefined;
  try {
    walk(parse("text.js", text), (node) => {
      if (shape === undefined && isFunction(node)) shape = shapeOf(node);
      return shape === undefined;
    });
  } catch {
    // Not this way of writing a function: the next one is tried.
    return undefined;
  }
  return shape;
}

const layoutKeys: ReadonlySet<string> = new Set(["start", "end", "raw", "range"]);

/** Parameters and body of a function as it runs, without its name, positions and marks. */
function shapeOf(node: SyntaxNode): string {
  const { body, params, async: isAsync, generator } = node;
  const isArrow = node.type === "ArrowFunctionExpression";
  return JSON.stringify([isArrow, isAsync, generator, params, body], (key, value: unknown) => {
    if (layoutKeys.has(key)) return undefined;
    if (typeof value === "bigint") return `${value}n`;
    if (key !== "params" && !Array.isArray(value)) return value;
    return Array.isArray(value) ? value.filter((one) => !isMark(one)) : value;
  });
}

function isMark(value: unknown): boolean {
  return isNode(value) && textAt(value, "name").startsWith(mark);
}
