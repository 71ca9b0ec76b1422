import { readFileSync } from "node:fs";
import { relative } from "node:path";
import { type ErrorCode, QmtlError } from "../../core/errors.ts";
import { patternNames, type Writes, writesOf } from "./scope.ts";
import {
  isFunction,
  isTypeOnly,
  nodeAt,
  nodesAt,
  parse,
  type SyntaxNode,
  textAt,
  walk,
} from "./syntax.ts";

/** What a name at the top of a module stands for. */
export type Binding =
  | {
      /** `*` is the whole module, `default` its default export. */
      readonly kind: "import";
      readonly from: string;
      readonly name: string;
    }
  | {
      /** `function`, `class`, `enum`, or a variable by its keyword. */
      readonly kind: "declaration";
      readonly keyword: string;
      /** A variable's declarator; for an enum that is declared in parts, all of them. */
      readonly nodes: readonly [SyntaxNode, ...SyntaxNode[]];
    };

/** A function of a module, with the nodes around it from the module inwards. */
export interface SourceFunction {
  readonly node: SyntaxNode;
  readonly ancestors: readonly SyntaxNode[];
}

/** Local name of a default export that has no name; no identifier can be equal to it. */
const defaultName = "*default*";

/** A module as it is written: its tree, and what its names stand for. Read once a process. */
export class ModuleSource {
  static readonly #known = new Map<string, ModuleSource>();

  readonly path: string;
  readonly text: string;
  readonly program: SyntaxNode;
  readonly bindings = new Map<string, Binding>();
  /** Exported name to local name, or to a name of another module. */
  readonly exports = new Map<string, string | { readonly from: string; readonly name: string }>();
  /** Modules of `export * from`. */
  readonly stars: string[] = [];
  #functions: readonly SourceFunction[] | undefined;
  #writes: Writes | undefined;

  private constructor(path: string) {
    this.path = path;
    this.text = readFileSync(path, "utf8");
    this.program = parse(path, this.text);
    for (const statement of nodesAt(this.program, "body")) this.#readStatement(statement);
  }

  /** @throws SyntaxError or a file error if the module cannot be read. */
  static at(path: string): ModuleSource {
    const known = ModuleSource.#known.get(path) ?? new ModuleSource(path);
    ModuleSource.#known.set(path, known);
    return known;
  }

  /** All functions that have a body, in the order of the source. */
  get functions(): readonly SourceFunction[] {
    if (this.#functions === undefined) {
      const found: SourceFunction[] = [];
      walk(this.program, (node, ancestors) => {
        if (isFunction(node)) found.push({ node, ancestors: [...ancestors] });
        return !isTypeOnly(node);
      });
      this.#functions = found;
    }
    return this.#functions;
  }

  /** What the module writes to, by name at its top. */
  get writes(): Writes {
    this.#writes ??= writesOf(this.program);
    return this.#writes;
  }

  /** `file:line` of `node`, the file relative to the working directory; for messages only. */
  placeOf(node: SyntaxNode): string {
    const near = relative(process.cwd(), this.path);
    const line = this.text.slice(0, node.start).split("\n").length;
    return `${near.startsWith("..") ? this.path : near}:${line}`;
  }

  /** Refuses what `node` does; `fault` goes on from "it", `variable` is the name at fault. */
  refuse(code: ErrorCode, node: SyntaxNode, fault: string, variable = ""): never {
    const place = this.placeOf(node);
    throw new QmtlError(code, `${place}: ${fault}`, { place, variable });
  }

  #readStatement(statement: SyntaxNode): void {
    const declaration = nodeAt(statement, "declaration");
    if (textAt(statement, "importKind") === "type" || textAt(statement, "exportKind") === "type") {
      return;
    }
    switch (statement.type) {
      case "ImportDeclaration":
        this.#readImport(statement);
        break;
      case "ExportAllDeclaration":
        this.#readStar(statement);
        break;
      case "ExportDefaultDeclaration":
        if (declaration !== undefined) this.#readDefault(declaration);
        break;
      case "ExportNamedDeclaration":
        if (declaration === undefined) this.#readExports(statement);
        else for (const name of this.#readDeclaration(declaration)) this.exports.set(name, name);
        break;
      default:
        this.#readDeclaration(statement);
    }
  }

  #readImport(statement: SyntaxNode): void {
    const from = textAt(nodeAt(statement, "source"), "value");
    for (const one of nodesAt(statement, "specifiers")) {
      if (textAt(one, "importKind") === "type") continue;
      const whole = one.type === "ImportNamespaceSpecifier" ? "*" : "default";
      const name = moduleName(nodeAt(one, "imported")) || whole;
      this.bindings.set(textAt(nodeAt(one, "local"), "name"), { kind: "import", from, name });
    }
  }

  #readStar(statement: SyntaxNode): void {
    const from = textAt(nodeAt(statement, "source"), "value");
    const name = nodeAt(statement, "exported");
    if (name === undefined) this.stars.push(from);
    else this.exports.set(moduleName(name), { from, name: "*" });
  }

  #readExports(statement: SyntaxNode): void {
    const source = nodeAt(statement, "source");
    for (const one of nodesAt(statement, "specifiers")) {
      const local = moduleName(nodeAt(one, "local"));
      const target = source === undefined ? local : { from: textAt(source, "value"), name: local };
      this.exports.set(moduleName(nodeAt(one, "exported")), target);
    }
  }

  #readDefault(declaration: SyntaxNode): void {
    if (isTypeOnly(declaration)) return;
    const names = this.#readDeclaration(declaration);
    this.exports.set("default", names[0] ?? defaultName);
    if (names.length > 0) return;
    this.bindings.set(defaultName, {
      kind: "declaration",
      keyword: keywordOf[declaration.type] ?? "const",
      nodes: [declaration],
    });
  }

  /** Notes what `node` declares, if it is a declaration, and gives the names. */
  #readDeclaration(node: SyntaxNode): readonly string[] {
    if (isTypeOnly(node)) return [];
    if (node.type === "VariableDeclaration") {
      const keyword = textAt(node, "kind");
      return nodesAt(node, "declarations").flatMap((one) => {
        const names = patternNames(nodeAt(one, "id"));
        for (const name of names) this.#bind(name, keyword, one);
        return names;
      });
    }
    const keyword = keywordOf[node.type];
    const name = textAt(nodeAt(node, "id"), "name");
    if (keyword === undefined || name === "") return [];
    this.#bind(name, keyword, node);
    return [name];
  }

  #bind(name: string, keyword: string, node: SyntaxNode): void {
    const before = this.bindings.get(name);
    const isPart = before?.kind === "declaration" && keyword === "enum";
    const nodes: [SyntaxNode, ...SyntaxNode[]] = isPart ? [...before.nodes] : [node];
    if (isPart) nodes.push(node);
    this.bindings.set(name, { kind: "declaration", keyword, nodes });
  }
}

const keywordOf: Readonly<Record<string, string>> = {
  FunctionDeclaration: "function",
  ClassDeclaration: "class",
  TSEnumDeclaration: "enum",
  TSModuleDeclaration: "namespace",
  TSImportEqualsDeclaration: "import =",
};

/** A name between modules: an identifier or a string. */
function moduleName(node: SyntaxNode | undefined): string {
  return textAt(node, "name") || textAt(node, "value");
}
