import { type ModuleSource } from "./module-source.ts";
import { assignedTargets, changedTargets, scopesOf } from "./scope.ts";
import {
  isFunction,
  isNode,
  isTypeOnly,
  keyName,
  nodeAt,
  nodesAt,
  type SyntaxNode,
  textAt,
  unwrapped,
} from "./syntax.ts";

/**
 * Canonical text of a piece of source, with a gap for each outer name whose meaning is a
 * declaration: `parts[0] references[0] parts[1] … parts[n]`.
 */
export interface Form<D> {
  readonly parts: readonly string[];
  readonly references: readonly D[];
}

/** How outer names are understood: as canonical text, or as a declaration that is hashed itself. */
export interface OuterNames<D> {
  /** @throws QmtlError CODE_* if the meaning of `name` is not in the source. */
  resolve(name: string, at: SyntaxNode): string | D;
  /** Meaning of `object.property` where it is more than a property: modules and `Math`. */
  member(object: string, property: string, at: SyntaxNode): string | D | undefined;
  /** @throws QmtlError CODE_MUTABLE_OUTER if the write is one to what an outer name stands for. */
  refuseWrite(name: string, at: SyntaxNode, how: "assigned" | "changed"): void;
}

/** What is canonicalised, and where it stands. */
export interface Subject<D> {
  readonly module: ModuleSource;
  readonly names: OuterNames<D>;
  /** True where `this` is given by nothing inside of the text. */
  readonly isThisOutside: boolean;
  /** Names that the text declares at its top: those of a destructuring. */
  readonly locals?: readonly string[];
}

/**
 * The canonical form of `root`: what stays the same when types, comments, layout, quotes, braces
 * around one statement, local names and labels change, and changes with everything else.
 *
 *   F1  A local name is `$n`, n by first use, so that only which names are equal matters; a function's
 *       own name, seen from inside, is `^n`, n the depth of that function.
 *   F2  Each kind of node is in `shapes` with the keys that mean something; a kind that is not
 *       there is refused, so that a new syntax never hashes as if it were nothing.
 *
 * @throws QmtlError CODE_ASYNC, CODE_USES_THIS, CODE_UNSUPPORTED, and what `names` throws.
 */
export function canonicalForm<D>(root: SyntaxNode, subject: Subject<D>): Form<D> {
  const writer = new FormWriter(subject);
  writer.node(root, undefined);
  return writer.form();
}

class FormWriter<D> {
  readonly #module: ModuleSource;
  readonly #names: OuterNames<D>;
  readonly #parts: string[] = [];
  readonly #references: D[] = [];
  #text = "";
  /** Innermost last: each name's text in the form, empty while it is not used. */
  readonly #scopes: Map<string, string>[] = [];
  readonly #labels: string[] = [];
  #namesUsed = 0;
  #functionDepth = 0;
  #ownsThis: boolean;

  constructor(subject: Subject<D>) {
    this.#module = subject.module;
    this.#names = subject.names;
    this.#ownsThis = !subject.isThisOutside;
    this.#scopes.push(new Map((subject.locals ?? []).map((name) => [name, ""])));
  }

  form(): Form<D> {
    return { parts: [...this.#parts, this.#text], references: this.#references };
  }

  node(wrapped: SyntaxNode, parent: SyntaxNode | undefined): void {
    const node = unwrapped(wrapped);
    const depth = this.#scopes.length;
    const ownedThis = this.#ownsThis;
    const functionDepth = this.#functionDepth;
    this.#openScopes(node, parent);
    if (parent !== undefined && ownsItsThis(node)) this.#ownsThis = true;
    this.#refuseEffects(node);
    const special = specials[node.type];
    if (special === undefined) this.#shape(node);
    else this.#special(special, node, parent);
    this.#scopes.length = depth;
    this.#functionDepth = functionDepth;
    this.#ownsThis = ownedThis;
  }

  #openScopes(node: SyntaxNode, parent: SyntaxNode | undefined): void {
    const isOwner = isFunction(node);
    for (const [i, names] of scopesOf(node, parent).entries()) {
      const text = isOwner && i === 0 ? `^${this.#functionDepth}` : "";
      this.#scopes.push(new Map(names.map((name) => [name, text])));
    }
    if (isOwner) this.#functionDepth += 1;
  }

  #shape(node: SyntaxNode): void {
    const keys = shapes[node.type];
    if (keys === undefined) {
      this.#module.refuse("CODE_UNSUPPORTED", node, `"${node.type}" has no canonical form`);
    }
    this.#text += `${node.type}(`;
    for (const key of keys) this.#value(node, key);
    this.#text += ")";
  }

  #value(node: SyntaxNode, key: string): void {
    const value = node[key];
    if (Array.isArray(value)) this.#list(value, node);
    else if (isNode(value)) {
      if (statementKeys.has(key)) this.#statement(value, node);
      else this.node(value, node);
    } else if (value === undefined || value === null || value === false) this.#text += "-";
    else this.#text += JSON.stringify(value);
    this.#text += ";";
  }

  #list(values: readonly unknown[], parent: SyntaxNode): void {
    this.#text += "[";
    for (const value of values) {
      if (!isNode(value)) this.#text += "_,";
      else if (!hasNoMeaning(value)) {
        this.node(value, parent);
        this.#text += ",";
      }
    }
    this.#text += "]";
  }

  /** A body: braces around one statement that declares nothing are layout. */
  #statement(node: SyntaxNode, parent: SyntaxNode): void {
    const only = node.type === "BlockStatement" ? onlyOf(nodesAt(node, "body")) : undefined;
    const isPlain = only !== undefined && !only.type.endsWith("Declaration");
    if (!isFunction(parent) && isPlain) this.#statement(only, parent);
    else this.node(node, parent);
  }

  #special(special: Special, node: SyntaxNode, parent: SyntaxNode | undefined): void {
    switch (special) {
      case "name":
        this.#name(node);
        break;
      case "literal":
        this.#text += literalText(node);
        break;
      case "member":
        this.#member(node);
        break;
      case "key":
        this.#keyed(node);
        break;
      case "function":
        this.#function(node, parent);
        break;
      case "declarator":
        this.#declarator(node);
        break;
      case "enum":
        this.#enum(node);
        break;
      case "label":
        this.#label(node);
        break;
      case "template":
        this.#text += `T${JSON.stringify(node["value"])}`;
        break;
      case "this":
        this.#this(node);
        break;
      case "refused":
        this.#refuse(node);
    }
  }

  #name(node: SyntaxNode): void {
    const name = textAt(node, "name");
    if (!this.#local(name)) this.#meaning(this.#names.resolve(name, node));
  }

  /** Writes `name` if it is a local one. */
  #local(name: string): boolean {
    const scope = this.#scopes.findLast((names) => names.has(name));
    if (scope === undefined) return false;
    const text = scope.get(name) || `$${this.#namesUsed++}`;
    scope.set(name, text);
    this.#text += text;
    return true;
  }

  #meaning(meaning: string | D): void {
    if (typeof meaning === "string") {
      this.#text += meaning;
      return;
    }
    this.#parts.push(this.#text);
    this.#references.push(meaning);
    this.#text = "";
  }

  #isLocal(name: string): boolean {
    return this.#scopes.some((scope) => scope.has(name));
  }

  #member(node: SyntaxNode): void {
    const object = nodeAt(node, "object");
    const property = keyName(nodeAt(node, "property"), node["computed"] === true);
    const root = object === undefined ? undefined : unwrapped(object);
    if (root?.type === "Identifier" && property !== undefined) {
      const name = textAt(root, "name");
      const meaning = this.#isLocal(name) ? undefined : this.#names.member(name, property, node);
      if (meaning !== undefined) {
        this.#meaning(meaning);
        return;
      }
    }
    this.#text += node["optional"] === true ? "Member?(" : "Member(";
    this.#value(node, "object");
    if (property === undefined) this.#value(node, "property");
    else this.#text += `.${JSON.stringify(property)}`;
    this.#text += ")";
  }

  /** Properties and members of classes: a key that is known is a name, however it is written. */
  #keyed(node: SyntaxNode): void {
    const name = keyName(nodeAt(node, "key"), node["computed"] === true);
    this.#text += `${node.type}(`;
    for (const key of ["kind", "static", "decorators"]) this.#value(node, key);
    if (name === undefined) this.#value(node, "key");
    else this.#text += `.${JSON.stringify(name)};`;
    this.#value(node, "value");
    this.#text += ")";
  }

  #function(node: SyntaxNode, parent: SyntaxNode | undefined): void {
    if (node["async"] === true) {
      this.#module.refuse("CODE_ASYNC", node, "an async function, nodes compute at once");
    }
    const isDeclared = node.type === "FunctionDeclaration" && parent !== undefined;
    const isArrow = node.type === "ArrowFunctionExpression";
    this.#text += isArrow ? "Arrow(" : isDeclared ? "Declared(" : "Function(";
    if (isDeclared) this.#value(node, "id");
    this.#value(node, "generator");
    const params = nodesAt(node, "params");
    this.#list(
      params[0] !== undefined && isThisParameter(params[0]) ? params.slice(1) : params,
      node,
    );
    const result = isArrow ? onlyResultOf(node) : undefined;
    if (result === undefined) this.#value(node, "body");
    else {
      this.node(result, node);
      this.#text += ";";
    }
    this.#text += ")";
  }

  /** `const { sqrt } = Math`: each name by itself; the object as such is refused. */
  #declarator(node: SyntaxNode): void {
    const init = nodeAt(node, "init");
    const root = init === undefined ? undefined : unwrapped(init);
    const name = textAt(root, "name");
    const keys = staticKeys(nodeAt(node, "id"));
    this.#text += "Declarator(";
    this.#value(node, "id");
    if (root?.type !== "Identifier" || keys === undefined || this.#isLocal(name)) {
      this.#value(node, "init");
    } else {
      const meanings = keys.map((key) => this.#names.member(name, key, node));
      if (meanings.length === 0 || meanings.includes(undefined)) this.#value(node, "init");
      else for (const meaning of meanings) if (meaning !== undefined) this.#meaning(meaning);
    }
    this.#text += ")";
  }

  #enum(node: SyntaxNode): void {
    const members = nodesAt(nodeAt(node, "body") ?? node, "members");
    const names = members.map((one) => keyName(nodeAt(one, "id"), false) ?? "");
    const own = textAt(nodeAt(node, "id"), "name");
    this.#text += "Enum(";
    if (this.#isLocal(own)) this.#value(node, "id");
    this.#scopes.push(new Map([own, ...names].map((name) => [name, ""])));
    for (const [i, member] of members.entries()) {
      this.#text += `.${JSON.stringify(names[i])}`;
      this.#local(names[i] ?? "");
      this.#value(member, "initializer");
    }
    this.#text += ")";
  }

  #label(node: SyntaxNode): void {
    const name = textAt(nodeAt(node, "label"), "name");
    this.#text += `${node.type}(`;
    if (node.type === "LabeledStatement") {
      this.#labels.push(name);
      this.#value(node, "body");
      this.#labels.pop();
    } else if (name !== "") this.#text += `L${this.#labels.lastIndexOf(name)}`;
    this.#text += ")";
  }

  #this(node: SyntaxNode): void {
    if (!this.#ownsThis) {
      const word = node.type === "Super" ? "super" : "this";
      const fault = `"${word}" is not part of the code, pass what you need in params`;
      this.#module.refuse("CODE_USES_THIS", node, fault, word);
    }
    this.#text += node.type;
  }

  #refuse(node: SyntaxNode): never {
    if (node.type === "AwaitExpression") {
      this.#module.refuse("CODE_ASYNC", node, "an await, nodes compute at once");
    }
    const name = node.type === "ImportExpression" ? "import()" : metaName(node);
    const fault = `"${name}" is known only when the code runs, import by name or pass it in params`;
    return this.#module.refuse("CODE_UNSUPPORTED", node, fault, name);
  }

  #refuseEffects(node: SyntaxNode): void {
    if (node["await"] === true || textAt(node, "kind") === "await using") {
      this.#module.refuse("CODE_ASYNC", node, "an await, nodes compute at once");
    }
    for (const how of ["assigned", "changed"] as const) {
      const targets = how === "assigned" ? assignedTargets(node) : changedTargets(node);
      for (const target of targets) {
        const name = textAt(target, "name");
        if (!this.#isLocal(name)) this.#names.refuseWrite(name, target, how);
      }
    }
  }
}

type Special =
  | "name"
  | "literal"
  | "member"
  | "key"
  | "function"
  | "declarator"
  | "enum"
  | "label"
  | "template"
  | "this"
  | "refused";

const specials: Readonly<Record<string, Special>> = {
  Identifier: "name",
  Literal: "literal",
  MemberExpression: "member",
  Property: "key",
  MethodDefinition: "key",
  PropertyDefinition: "key",
  AccessorProperty: "key",
  FunctionDeclaration: "function",
  FunctionExpression: "function",
  ArrowFunctionExpression: "function",
  VariableDeclarator: "declarator",
  TSEnumDeclaration: "enum",
  LabeledStatement: "label",
  BreakStatement: "label",
  ContinueStatement: "label",
  TemplateElement: "template",
  ThisExpression: "this",
  Super: "this",
  AwaitExpression: "refused",
  ImportExpression: "refused",
  MetaProperty: "refused",
};

/** Keys of each kind of node that mean something, in the order of the form. */
const shapes: Readonly<Record<string, readonly string[]>> = {
  ArrayExpression: ["elements"],
  ArrayPattern: ["elements"],
  AssignmentExpression: ["operator", "left", "right"],
  AssignmentPattern: ["left", "right"],
  BinaryExpression: ["operator", "left", "right"],
  BlockStatement: ["body"],
  CallExpression: ["optional", "callee", "arguments"],
  CatchClause: ["param", "body"],
  ChainExpression: ["expression"],
  ClassBody: ["body"],
  ClassDeclaration: ["id", "superClass", "decorators", "body"],
  ClassExpression: ["id", "superClass", "decorators", "body"],
  ConditionalExpression: ["test", "consequent", "alternate"],
  DebuggerStatement: [],
  Decorator: ["expression"],
  DoWhileStatement: ["body", "test"],
  EmptyStatement: [],
  ExpressionStatement: ["expression"],
  ForInStatement: ["left", "right", "body"],
  ForOfStatement: ["left", "right", "body"],
  ForStatement: ["init", "test", "update", "body"],
  IfStatement: ["test", "consequent", "alternate"],
  LogicalExpression: ["operator", "left", "right"],
  NewExpression: ["callee", "arguments"],
  ObjectExpression: ["properties"],
  ObjectPattern: ["properties"],
  PrivateIdentifier: ["name"],
  RestElement: ["argument"],
  ReturnStatement: ["argument"],
  SequenceExpression: ["expressions"],
  SpreadElement: ["argument"],
  StaticBlock: ["body"],
  SwitchCase: ["test", "consequent"],
  SwitchStatement: ["discriminant", "cases"],
  TaggedTemplateExpression: ["tag", "quasi"],
  TemplateLiteral: ["quasis", "expressions"],
  ThrowStatement: ["argument"],
  TryStatement: ["block", "handler", "finalizer"],
  TSParameterProperty: ["parameter"],
  UnaryExpression: ["operator", "argument"],
  UpdateExpression: ["operator", "prefix", "argument"],
  VariableDeclaration: ["kind", "declarations"],
  WhileStatement: ["test", "body"],
  YieldExpression: ["delegate", "argument"],
};

const statementKeys: ReadonlySet<string> = new Set(["consequent", "alternate", "body"]);

/** Canonical text of a literal: its value, however it is written. */
function literalText(node: SyntaxNode): string {
  if (regexFlags(node) !== undefined) return `R${textAt(node, "raw")}`;
  const bigint = node["bigint"];
  if (typeof bigint === "string") return `${bigint}n`;
  const value = node["value"];
  return typeof value === "string" ? JSON.stringify(value) : String(value);
}

/** Flags of a regular expression, undefined for other literals. */
export function regexFlags(node: SyntaxNode): string | undefined {
  const regex = node["regex"];
  if (typeof regex !== "object" || regex === null || !("flags" in regex)) return undefined;
  return String(regex.flags);
}

function hasNoMeaning(node: SyntaxNode): boolean {
  return node.type === "EmptyStatement" || isTypeOnly(node);
}

function onlyOf(statements: readonly SyntaxNode[]): SyntaxNode | undefined {
  const meant = statements.filter((one) => !hasNoMeaning(one));
  return meant.length === 1 ? meant[0] : undefined;
}

/** What an arrow gives whose body is one `return`: braces are layout. */
function onlyResultOf(arrow: SyntaxNode): SyntaxNode | undefined {
  const body = nodeAt(arrow, "body");
  const only = body === undefined ? undefined : onlyOf(nodesAt(body, "body"));
  return only?.type === "ReturnStatement" ? nodeAt(only, "argument") : undefined;
}

/** Classes and functions that are no arrows give `this` a meaning that is in the text. */
function ownsItsThis(node: SyntaxNode): boolean {
  return (isFunction(node) && node.type !== "ArrowFunctionExpression") || node.type === "ClassBody";
}

function isThisParameter(node: SyntaxNode): boolean {
  return node.type === "Identifier" && textAt(node, "name") === "this";
}

function metaName(node: SyntaxNode): string {
  return `${textAt(nodeAt(node, "meta"), "name")}.${textAt(nodeAt(node, "property"), "name")}`;
}

/** Keys of `{ a, b: c }`; undefined if there is a rest or a computed key, or it is no pattern. */
function staticKeys(pattern: SyntaxNode | undefined): readonly string[] | undefined {
  if (pattern?.type !== "ObjectPattern") return undefined;
  const keys = nodesAt(pattern, "properties").map((one) =>
    keyName(nodeAt(one, "key"), one["computed"] === true),
  );
  const known = keys.filter((key) => key !== undefined);
  return known.length === keys.length ? known : undefined;
}
