import { readFileSync } from "node:fs";
import { dirname, extname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { canonical, digest } from "../ids.ts";
import { canonicalForm, type Form, type OuterNames, regexFlags } from "./canonical-tree.ts";
import { Declaration } from "./declaration-hash.ts";
import { type Binding, ModuleSource } from "./module-source.ts";
import { isCaptured, patternNames } from "./scope.ts";
import {
  childrenOf,
  isFunction,
  isTypeOnly,
  nodeAt,
  type SyntaxNode,
  textAt,
  unwrapped,
} from "./syntax.ts";

/** Globals that are the same everywhere and give the same for the same input. */
const pureGlobals: ReadonlySet<string> = new Set(
  (
    "undefined NaN Infinity Number String Boolean Array Object Map Set WeakMap WeakSet JSON BigInt " +
    "Symbol Iterator isNaN isFinite parseFloat parseInt Error RangeError TypeError SyntaxError " +
    "EvalError ReferenceError URIError AggregateError ArrayBuffer DataView Float16Array " +
    "Float32Array Float64Array Int8Array Int16Array Int32Array Uint8Array Uint8ClampedArray " +
    "Uint16Array Uint32Array BigInt64Array BigUint64Array RegExp encodeURIComponent " +
    "decodeURIComponent encodeURI decodeURI structuredClone TextEncoder TextDecoder atob btoa"
  ).split(" "),
);

/** The names around a piece of `module`; `ancestors` are the nodes around it. */
export class ModuleNames implements OuterNames<Declaration> {
  readonly #module: ModuleSource;
  readonly #ancestors: readonly SyntaxNode[];

  constructor(module: ModuleSource, ancestors: readonly SyntaxNode[]) {
    this.#module = module;
    this.#ancestors = ancestors;
  }

  resolve(name: string, at: SyntaxNode): string | Declaration {
    this.#refuseCaptured(name, at);
    const use = { module: this.#module, at };
    if (this.#module.bindings.has(name)) return localMeaning(this.#module, name, use);
    if (pureGlobals.has(name)) return `global ${name}`;
    const isBareMath = name === "Math";
    const fault = isBareMath
      ? `"Math" as a value may give Math.random, use Math.<name>`
      : `"${name}" is a global whose value is not in the code, pass what you need in params`;
    return this.#module.refuse("CODE_IMPURE_GLOBAL", at, fault, name);
  }

  member(object: string, property: string, at: SyntaxNode): string | Declaration | undefined {
    this.#refuseCaptured(object, at);
    const binding = this.#module.bindings.get(object);
    if (binding?.kind === "import" && binding.name === "*") {
      return importedMeaning(binding.from, property, this.#module, { module: this.#module, at });
    }
    if (binding !== undefined || object !== "Math") return undefined;
    if (property !== "random") return `global Math.${property}`;
    const fault = `"Math.random" gives another value each time, pass a seed in params`;
    return this.#module.refuse("CODE_IMPURE_GLOBAL", at, fault, "Math.random");
  }

  refuseWrite(name: string, at: SyntaxNode, how: "assigned" | "changed"): void {
    this.#refuseCaptured(name, at);
    if (how === "changed") {
      if (!this.#module.bindings.has(name)) return;
      const meaning = this.resolve(name, at);
      if (typeof meaning === "string" || !meaning.isData) return;
    }
    this.#module.refuse("CODE_MUTABLE_OUTER", at, `it changes "${name}", ${keepInParams}`, name);
  }

  #refuseCaptured(name: string, at: SyntaxNode): void {
    if (!isCaptured(name, this.#ancestors)) return;
    const fault = `"${name}" belongs to the function around it, its value is not in the code: pass it in params`;
    this.#module.refuse("CODE_CAPTURED_VARIABLE", at, fault, name);
  }
}

const keepInParams = "and the code would not mean the same each time: pass it in params";

/** Where a name is used: refusals point there. */
interface Use {
  readonly module: ModuleSource;
  readonly at: SyntaxNode;
}

const declarations = new Map<string, string | Declaration>();

function localMeaning(module: ModuleSource, name: string, use: Use): string | Declaration {
  const binding = module.bindings.get(name);
  if (binding === undefined) return refuseMissing(name, module.path, use);
  if (binding.kind === "import") return importedMeaning(binding.from, binding.name, module, use);
  const key = `${module.path}#${name}`;
  const known = declarations.get(key);
  if (known !== undefined) return known;
  refuseMutable(module, name, binding, use);
  const meaning = declarationMeaning(module, name, binding, use);
  declarations.set(key, meaning);
  return meaning;
}

type Declared = Extract<Binding, { kind: "declaration" }>;

function refuseMutable(module: ModuleSource, name: string, binding: Declared, use: Use): void {
  const node = binding.nodes[0];
  const { keyword } = binding;
  if (keyword === "namespace" || keyword === "import =") {
    const fault = `"${name}" is a TypeScript ${keyword}, which has no canonical form: use a module`;
    use.module.refuse("CODE_UNSUPPORTED", use.at, fault, name);
  }
  const place = module.placeOf(node);
  const isVariable = !["const", "function", "class", "enum"].includes(keyword);
  const init = initOf(node);
  const isChanged = module.writes.changed.has(name) && isData(init);
  const isStateful = init !== undefined && /[gy]/.test(regexFlags(init) ?? "");
  if (!isVariable && !isChanged && !isStateful && !module.writes.assigned.has(name)) return;
  const how = isVariable
    ? `is a "${keyword}"`
    : isStateful
      ? "is a regular expression that remembers where it was"
      : "is changed in its module";
  const fault = `"${name}" (${place}) ${how}, ${keepInParams}`;
  use.module.refuse("CODE_MUTABLE_OUTER", use.at, fault, name);
}

/** Initializer of a declarator; a default export that is an expression is its own. */
function initOf(node: SyntaxNode): SyntaxNode | undefined {
  const init = node.type === "VariableDeclarator" ? nodeAt(node, "init") : node;
  return init === undefined ? undefined : unwrapped(init);
}

function declarationMeaning(
  module: ModuleSource,
  name: string,
  binding: Declared,
  use: Use,
): string | Declaration {
  const names = new ModuleNames(module, [module.program]);
  const [node] = binding.nodes;
  const computed = binding.nodes.map(computedPart).find((part) => part !== undefined);
  if (computed !== undefined) {
    const fault = `"${name}" is computed when its module loads (${module.placeOf(computed)}), its value is not in the code: write the value or pass it in params`;
    use.module.refuse("CODE_COMPUTED_CONSTANT", use.at, fault, name);
  }
  const isThisOutside = binding.keyword === "const";
  const subject = { module, names, isThisOutside };
  const pattern = nodeAt(node, "id");
  if (node.type === "VariableDeclarator" && pattern?.type !== "Identifier") {
    const locals = patternNames(pattern);
    return new Declaration(name, false, () =>
      ended(canonicalForm(node, { ...subject, locals }), `#${locals.indexOf(name)}`),
    );
  }
  const init = initOf(node) ?? node;
  if (isPlainValue(init)) return canonicalForm(init, subject).parts.join("");
  const forms = (): Form<Declaration> =>
    binding.nodes.map((part) => canonicalForm(initOf(part) ?? part, subject)).reduce(joined);
  return new Declaration(name, isData(init), forms);
}

function ended(form: Form<Declaration>, text: string): Form<Declaration> {
  return joined(form, { parts: [text], references: [] });
}

function joined(a: Form<Declaration>, b: Form<Declaration>): Form<Declaration> {
  const seam = (a.parts.at(-1) ?? "") + (b.parts[0] ?? "");
  return {
    parts: [...a.parts.slice(0, -1), seam, ...b.parts.slice(1)],
    references: [...a.references, ...b.references],
  };
}

/** A number, text, boolean, null or bigint: it stands in the form as if written at its use. */
function isPlainValue(node: SyntaxNode): boolean {
  if (node.type === "UnaryExpression") {
    const argument = nodeAt(node, "argument");
    return argument?.type === "Literal" && regexFlags(argument) === undefined;
  }
  return node.type === "Literal" && regexFlags(node) === undefined;
}

function isData(node: SyntaxNode | undefined): boolean {
  if (node === undefined) return false;
  const isOuter = node.type === "ArrayExpression" || node.type === "ObjectExpression";
  return (isOuter || isFreeze(node)) && !hasFunction(node);
}

function hasFunction(node: SyntaxNode): boolean {
  return isFunction(node) || childrenOf(node).some(hasFunction);
}

const computing: ReadonlySet<string> = new Set([
  "CallExpression",
  "NewExpression",
  "TaggedTemplateExpression",
  "AwaitExpression",
  "AssignmentExpression",
  "UpdateExpression",
  "StaticBlock",
  "Decorator",
]);

/** The first part of a declaration that does work when the module loads, undefined if none does. */
function computedPart(node: SyntaxNode): SyntaxNode | undefined {
  if (isFunction(node) || isTypeOnly(node)) return undefined;
  if (computing.has(node.type) && !isFreeze(node)) return node;
  const isField = node.type === "PropertyDefinition" || node.type === "AccessorProperty";
  const isLater = isField && node["static"] !== true;
  for (const child of childrenOf(node)) {
    if (isLater && child === node["value"]) continue;
    const part = computedPart(child);
    if (part !== undefined) return part;
  }
  return undefined;
}

/** `Object.freeze(…)`: what it freezes is in the source. */
function isFreeze(node: SyntaxNode): boolean {
  const callee = node.type === "CallExpression" ? nodeAt(node, "callee") : undefined;
  return (
    callee?.type === "MemberExpression" &&
    textAt(nodeAt(callee, "object"), "name") === "Object" &&
    textAt(nodeAt(callee, "property"), "name") === "freeze"
  );
}

/** Meaning of export `name` of the module that `from` names, seen from `module`. */
function importedMeaning(
  from: string,
  name: string,
  module: ModuleSource,
  use: Use,
): string | Declaration {
  const path = resolved(from, module, use);
  if (!path.startsWith("/")) {
    const fault = `"${name}" comes from "${from}", which may give another value each time: pass what you need in params`;
    return use.module.refuse("CODE_IMPURE_GLOBAL", use.at, fault, name);
  }
  if (isInPackage(path)) return `package ${packageOf(path)}#${name}`;
  if (extname(path) === ".json") return `json ${digest(canonical(readJson(path)))}#${name}`;
  if (!/\.[cm]?[jt]sx?$/.test(path)) {
    const fault = `"${name}" comes from "${from}", wanted a TypeScript, JavaScript or JSON module`;
    return use.module.refuse("CODE_UNSUPPORTED", use.at, fault, name);
  }
  const target = ModuleSource.at(path);
  if (name === "*") return wholeModule(target, use);
  return exportMeaning(target, name, use) ?? refuseMissing(name, path, use);
}

/** Meaning of export `name` of `module`, undefined if it has none; `seen` stops circles. */
function exportMeaning(
  module: ModuleSource,
  name: string,
  use: Use,
  seen = new Set<ModuleSource>(),
): string | Declaration | undefined {
  const target = module.exports.get(name);
  if (typeof target === "string") return localMeaning(module, target, use);
  if (target !== undefined) return importedMeaning(target.from, target.name, module, use);
  if (seen.has(module) || name === "default") return undefined;
  seen.add(module);
  for (const star of module.stars) {
    const path = resolved(star, module, use);
    if (!path.startsWith("/") || isInPackage(path)) continue;
    const meaning = exportMeaning(ModuleSource.at(path), name, use, seen);
    if (meaning !== undefined) return meaning;
  }
  return undefined;
}

/** A module as a value: all of its exports by name. */
function wholeModule(module: ModuleSource, use: Use): Declaration {
  const key = `${module.path}#*`;
  const known = declarations.get(key);
  if (known instanceof Declaration) return known;
  const made = new Declaration(`* of ${module.path}`, false, () => {
    const parts = ["Module("];
    const references: Declaration[] = [];
    for (const name of [...exportNames(module, use)].toSorted()) {
      const meaning = exportMeaning(module, name, use) ?? "-";
      parts[parts.length - 1] += `${JSON.stringify(name)}:`;
      if (typeof meaning === "string") parts[parts.length - 1] += `${meaning},`;
      else {
        references.push(meaning);
        parts.push(",");
      }
    }
    return { parts, references };
  });
  declarations.set(key, made);
  return made;
}

function exportNames(
  module: ModuleSource,
  use: Use,
  seen = new Set<ModuleSource>(),
): ReadonlySet<string> {
  const names = new Set(module.exports.keys());
  if (seen.has(module)) return names;
  seen.add(module);
  for (const star of module.stars) {
    const path = resolved(star, module, use);
    if (!path.startsWith("/") || isInPackage(path)) {
      const fault = `"export * from ${star}" gives names that are known only when the code runs, name them`;
      use.module.refuse("CODE_UNSUPPORTED", use.at, fault, star);
    }
    for (const name of exportNames(ModuleSource.at(path), use, seen)) {
      if (name !== "default") names.add(name);
    }
  }
  return names;
}

function refuseMissing(name: string, path: string, use: Use): never {
  const fault = `"${name}" is not declared in ${path}, wanted an export written there`;
  return use.module.refuse("CODE_UNSUPPORTED", use.at, fault, name);
}

const paths = new Map<string, string>();

function resolved(from: string, module: ModuleSource, use: Use): string {
  const folder = dirname(module.path);
  const key = `${folder} ${from}`;
  const known = paths.get(key);
  if (known !== undefined) return known;
  try {
    const path = Bun.resolveSync(from, folder);
    paths.set(key, path);
    return path;
  } catch {
    const fault = `module "${from}" is not there, wanted one that can be read`;
    return use.module.refuse("CODE_UNSUPPORTED", use.at, fault, from);
  }
}

/** Folder of this package: its own modules count by declaration, wherever it is installed. */
const ownRoot = fileURLToPath(new URL("../../../", import.meta.url));

/** True if `path` lies in an installed package that is not this one. */
export function isInPackage(path: string): boolean {
  const below = path.startsWith(ownRoot) ? `/${path.slice(ownRoot.length)}` : path;
  return below.includes("/node_modules/");
}

/** `name@version/path` of the package that `path` lies in. */
function packageOf(path: string): string {
  for (let folder = dirname(path); folder !== dirname(folder); folder = dirname(folder)) {
    const data = readJson(join(folder, "package.json"));
    if (typeof data !== "object" || data === null) continue;
    if (!("name" in data) || !("version" in data)) continue;
    return `${String(data.name)}@${String(data.version)}/${relative(folder, path)}`;
  }
  return path.slice(path.lastIndexOf("/node_modules/"));
}

/** Data of a JSON file, undefined if there is none. */
function readJson(path: string): unknown {
  try {
    const data: unknown = JSON.parse(readFileSync(path, "utf8"));
    return data;
  } catch {
    return undefined;
  }
}
