import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { Worker } from "node:worker_threads";
import { QmtlError as PublicError } from "qmtl/runtime";
import { type ErrorCode, QmtlError } from "../../../../runtime/core/errors.ts";
import { codeIdentityOf } from "../../../../runtime/graph/code/code-identity.ts";
import { type UserFunction } from "../../../../runtime/graph/declaration.ts";
import * as sameA from "./fixtures/same-a.ts";
import * as sameB from "./fixtures/same-b.ts";

// Goal: which changes of source change a function's identity, and which do not.
// Method: each case is a module as it was and as it became, `f` the function that is hashed. All
// modules as they were are hashed in one worker, as they became in another, because one thread
// that holds both may rightly find the same text with two meanings.

/** Files by name; `main.ts` exports `f`. */
type Files = Readonly<Record<string, string>>;
type Case = readonly [title: string, before: Files | string, after: Files | string];

const helper = "export const k = 3;\nexport function h(x: number) { return x * k; }\n";
const usesHelper =
  'import { h } from "./helper.ts";\nexport const f = (v: number) => h(v) + 1001;\n';

const usesPackage = 'import { h } from "pack"; export const f = (v: number) => h(v) + 1010;';
const usesPackageToo = usesPackage.replace("1010", "2011");
const usesModule =
  'import * as all from "./all.ts"; export const f = (v: number) => [all, v, 1009];';

function packageOf(version: string, text: string): Files {
  return {
    "node_modules/pack/package.json": JSON.stringify({ name: "pack", version, main: "index.js" }),
    "node_modules/pack/index.js": text,
  };
}

const equal: readonly Case[] = [
  [
    "local names, types and comments",
    "export const f = (view: number[], { n }: { n: number }): number => { let sum = 0; for (let i = 0; i < n; i += 1) sum += view[i] ?? 0; return sum / n }",
    "/** Doc. */ export const f = (rows: any, { n: count }: any) => {\n // more\n let total = 0.0;\n for (let j = 0x0; j < count; j += 1) { total += (rows[j] as number) ?? 0; }\n return total / (count satisfies number) };",
  ],
  [
    "the function's own name and the way a method is written",
    "const o = { compute(v: number) { return v * 1002; } }; export const f = o.compute;",
    "const o = { 'x': function named(w: number) { return w * 1002; } }; export const f = o.x;",
  ],
  [
    "quotes, key quotes, braces around one statement and around an arrow's result",
    "export const f = (v: number) => { if (v) { return { a: 'x' }; } return v['length' as never]; };\n",
    'export const f = (v: any) => { if (v) return { "a": "x" };; return v.length; };\n',
  ],
  [
    "an arrow's braces",
    "export const f = (v: number) => v + 1003;",
    "export const f = (v: number) => { return v + 1003; };",
  ],
  [
    "var, labels, template, regex, bigint, destructuring, defaults and computed keys under other names",
    "export function f(w: number[], n = 2, [a = 0, ...b]: number[] = [1]) { one: for (const x of w) for (const y of b) { if (y > x) continue one; if (y === n) break one; } if (a) { var t = `a${a}b`; } const m = /a(\\d)b/u.exec(t!)?.[1]; const { ['le' + 'ngth']: size } = w as any; return m + 10n + size; }",
    "export function g(v: any, limit = 2, [p = 0, ...q]: any = [1]) { two: for (const s of v) for (const r of q) { if (r > s) continue two; if (r === limit) break two; } if (p) { var u = `a${p}b`; } const k = /a(\\d)b/u.exec(u!)?.[1]; const { ['le' + 'ngth']: z } = v; return k + 10n + z; }\nexport { g as f };",
  ],
  [
    "order and presence of unrelated declarations",
    "export const one = 1; function h(x: number) { return x - 1004; } export const f = (v: number) => h(v);",
    "export const f = (v: number) => h(v); const two = Date.now(); function h(x: number) { return x - 1004; } export { two };",
  ],
  [
    "a helper that moves to another module and name",
    "function h(x: number) { return x * k; } const k = 3; export const f = (v: number) => h(v) + 1001;",
    {
      "main.ts":
        'import { renamed as g } from "./again.ts"; export const f = (v: number) => g(v) + 1001;',
      "again.ts": 'export * from "./exports.ts";',
      "exports.ts": 'export { h as renamed } from "./helper.ts";',
      "helper.ts": helper,
    },
  ],
  [
    "a helper reached as a member of its module",
    { "main.ts": usesHelper, "helper.ts": helper },
    {
      "main.ts":
        'import * as all from "./helper.ts"; export const f = (v: number) => all.h(v) + 1001;',
      "helper.ts": helper,
    },
  ],
  [
    "a constant that is written in its place",
    "const n = 20; export const f = (v: number) => v * n + 1005;",
    "export const f = (v: number) => v * 20 + 1005;",
  ],
  [
    "names of helpers that call each other",
    "const even = (n: number): boolean => n === 0 || odd(n - 1); const odd = (n: number): boolean => n !== 0 && even(n - 1); export const f = (v: number) => even(v + 1006);",
    "export const f = (v: number) => b(v + 1006); function nothing() {} const a = (n: number): boolean => n !== 0 && b(n - 1); const b = (n: number): boolean => n === 0 || a(n - 1); void nothing;",
  ],
  [
    "locals that shadow globals",
    "const m = { random: () => 4 }; export const f = (v: number) => { const Math = m, Date = v; return Math.random() + Date; };",
    "const m = { random: () => 4 }; export const f = (v: number) => { const a = m, b = v; return a.random() + b; };",
  ],
  [
    "names and types of classes and enums",
    "enum Side { Buy = 1, Sell = Buy + 1 } class Sum { #t = 0; constructor(private readonly s: number) {} add(v: number): this { this.#t += v; return this; } get total() { return this.s + this.#t; } } export const f = (v: number) => new Sum(Side.Sell).add(v).total;",
    "class Total { #t = 0; constructor(public s: any) {} add(x: any) { this.#t += x; return this; } get total(): number { return this.s + this.#t; } } const enum S { Buy = 1, Sell = Buy + 1 } export const f = (v: number) => new Total(S.Sell).add(v).total;",
  ],
  [
    "names taken from Math and from frozen data",
    "const { sqrt, abs } = Math; const t = Object.freeze({ low: [1] } as const); export const f = (v: number) => sqrt(v) + abs(v) + t.low[0];",
    "export const f = (v: number) => r(v) + a(v) + table.low[0]; const { sqrt: r, abs: a } = Math; const table = Object.freeze({ low: [1] });",
  ],
  [
    "the name of a default import",
    {
      "main.ts": 'import h from "./h.ts"; export const f = (v: number) => h(v) + 1007;',
      "h.ts": "export default (x: number) => x * 3;",
    },
    {
      "main.ts": 'import other from "./o.ts"; export const f = (v: number) => other(v) + 1007;',
      "o.ts": "const one = 1; export default (value: number) => value * 3; void one;",
    },
  ],
  [
    "what a package does inside of one version",
    { "main.ts": usesPackage, ...packageOf("1.0.0", "export const h = () => 1;") },
    { "main.ts": usesPackage, ...packageOf("1.0.0", "export const h = () => 2;") },
  ],
  [
    "what a module that is used as a whole does not export",
    { "main.ts": usesModule, "all.ts": "export const a = (v: number) => v; export { a as b };" },
    {
      "main.ts": usesModule,
      "all.ts": 'export * from "./rest.ts"; const c = 1; void c;',
      "rest.ts": "export const b = (x: number) => x; export const a = (x: number) => x;",
    },
  ],
  [
    "names in switch, catch, for, static blocks and nested patterns",
    "export const f = (v: any) => { switch (v) { case 1: { let a = v; return a; } default: const d = 2; v += d; } try { throw v; } catch ({ x: [e = 1] }) { v = e; } for (const k in v) v[k] = 0; class C { static n = 1; static { C.n = 2; } } return C.n + 1008; };",
    "export const f = (w: any) => { switch (w) { case 1: { let b = w; return b; } default: const c = 2; w += c; } try { throw w; } catch ({ x: [g = 1] }) { w = g; } for (const i in w) w[i] = 0; class K { static n = 1; static { K.n = 2; } } return K.n + 1008; };",
  ],
];

const different: readonly Case[] = [
  [
    "the version of a package",
    { "main.ts": usesPackageToo, ...packageOf("1.0.0", "export const h = () => 1;") },
    { "main.ts": usesPackageToo, ...packageOf("1.0.1", "export const h = () => 1;") },
  ],
  [
    "an export of a module that is used as a whole",
    { "main.ts": usesModule.replace("1009", "2010"), "all.ts": "export const a = 1;" },
    { "main.ts": usesModule.replace("1009", "2010"), "all.ts": "export const a = 1, b = 2;" },
  ],
  [
    "a constant of an imported module",
    { "main.ts": usesHelper, "helper.ts": helper },
    { "main.ts": usesHelper, "helper.ts": helper.replace("k = 3", "k = 4") },
  ],
  [
    "a number of an imported table",
    {
      "main.ts": 'import t from "./t.json"; export const f = (v: number) => v + t.low + 2000;',
      "t.json": '{ "low": 30 }',
    },
    {
      "main.ts": 'import t from "./t.json"; export const f = (v: number) => v + t.low + 2000;',
      "t.json": '{ "low": 31 }',
    },
  ],
  [
    "which of two locals is used",
    "export const f = (v: number) => { const a = v + 1, b = v + 2; return a; };",
    "export const f = (v: number) => { const a = v + 1, b = v + 2; return b; };",
  ],
  [
    "which of two inner functions is called",
    "export const f = (v: number) => { function a() { return 1; } function b() { return 2; } return v + a(); };",
    "export const f = (v: number) => { function a() { return 1; } function b() { return 2; } return v + b(); };",
  ],
  [
    "which function's own name is meant",
    "export const f = function g(v: number): unknown { return function h() { return g; }; };",
    "export const f = function g(v: number): unknown { return function h() { return h; }; };",
  ],
  [
    "which member of an enum another one is",
    "enum E { A = 1, B = 2, C = A } export const f = (v: number) => E[v] + 2001;",
    "enum E { A = 1, B = 2, C = B } export const f = (v: number) => E[v] + 2001;",
  ],
  [
    "a var that is its parameter",
    "export function f(a: number) { var a: number; return a; }",
    "export function f(a: number) { var b!: number; return b; }",
  ],
  [
    "a default",
    "export const f = (v: number, n = 2002) => v * n;",
    "export const f = (v: number, n = 2003) => v * n;",
  ],
  [
    "an operator",
    "export const f = (v: number) => v + 2004;",
    "export const f = (v: number) => v - 2004;",
  ],
  [
    "optional chaining",
    "export const f = (v: any) => v.a?.b + 2005;",
    "export const f = (v: any) => v.a.b + 2005;",
  ],
  [
    "a regular expression's flags",
    "export const f = (v: string) => /a/u.test(v);",
    "export const f = (v: string) => /a/iu.test(v);",
  ],
  [
    "a label's target",
    "export const f = (v: number[]) => { a: for (const x of v) b: for (const y of v) { if (x > y) continue a; } return 2006; };",
    "export const f = (v: number[]) => { a: for (const x of v) b: for (const y of v) { if (x > y) continue b; } return 2006; };",
  ],
  [
    "which name is taken from Math",
    "const { sqrt: g } = Math; export const f = (v: number) => g(v) + 2007;",
    "const { cbrt: g } = Math; export const f = (v: number) => g(v) + 2007;",
  ],
  [
    "which value of a destructured constant",
    "const { a, b } = { a: { x: 1 }, b: { x: 2 } }; export const f = (v: number) => v + a.x + 2008;",
    "const { b, a } = { a: { x: 1 }, b: { x: 2 } }; export const f = (v: number) => v + b.x + 2008;",
  ],
  [
    "one of two helpers that call each other",
    "const a = (n: number): number => (n ? b(n - 1) : 0); const b = (n: number): number => (n ? a(n - 1) : 1); export const f = (v: number) => a(v + 2009);",
    "const a = (n: number): number => (n ? b(n - 1) : 0); const b = (n: number): number => (n ? a(n - 1) : 1); export const f = (v: number) => b(v + 2009);",
  ],
];

const cases = [...equal, ...different];
let folder = "";
let before: readonly unknown[] = [];
let after: readonly unknown[] = [];

function write(name: string, files: Files | string): string {
  const home = join(folder, name);
  const all = typeof files === "string" ? { "main.ts": files } : files;
  for (const [file, text] of Object.entries(all)) {
    mkdirSync(dirname(join(home, file)), { recursive: true });
    writeFileSync(join(home, file), text);
  }
  return join(home, "main.ts");
}

const workerUrl = new URL("./fixtures/hash-worker.ts", import.meta.url);

async function hashesInWorker(paths: readonly string[]): Promise<readonly unknown[]> {
  const worker = new Worker(workerUrl, { workerData: paths });
  try {
    return await new Promise<readonly unknown[]>((resolve, reject) => {
      worker.once("message", resolve);
      worker.once("error", reject);
    });
  } finally {
    await worker.terminate();
  }
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "qmtl-code-"));
  before = await hashesInWorker(cases.map(([, files], i) => write(`before-${i}`, files)));
  after = await hashesInWorker(cases.map(([, , files], i) => write(`after-${i}`, files)));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("codeIdentityOf() stays the same when only this changes:", () => {
  for (const [i, [title]] of equal.entries()) {
    test(title, () => {
      expect(before[i]).toMatch(/^[0-9a-f]{32}$/);
      expect(after[i]).toBe(before[i]);
    });
  }
});

describe("codeIdentityOf() changes with", () => {
  for (const [i, [title]] of different.entries()) {
    test(title, () => {
      expect(before[equal.length + i]).toMatch(/^[0-9a-f]{32}$/);
      expect(after[equal.length + i]).toMatch(/^[0-9a-f]{32}$/);
      expect(after[equal.length + i]).not.toBe(before[equal.length + i]);
    });
  }
});

/** An outer function, so that what the fixtures of the refusals do is seen by name. */
function refusalOf(run: UserFunction): QmtlError {
  try {
    codeIdentityOf(run);
  } catch (error) {
    if (error instanceof QmtlError) return error;
    throw error;
  }
  throw new Error(`"${run.name}" was not refused`);
}

// [function of refused.ts, code, what the message names]
const refusals: readonly (readonly [string, ErrorCode, string])[] = [
  ["parameter", "CODE_CAPTURED_VARIABLE", '"n"'],
  ["destructured", "CODE_CAPTURED_VARIABLE", '"k"'],
  ["constant", "CODE_CAPTURED_VARIABLE", '"inner"'],
  ["functionOf", "CODE_CAPTURED_VARIABLE", '"helper"'],
  ["argumentsOf", "CODE_CAPTURED_VARIABLE", '"arguments"'],
  ["looped", "CODE_CAPTURED_VARIABLE", '"each"'],
  ["caught", "CODE_CAPTURED_VARIABLE", '"fault"'],
  ["hoisted", "CODE_CAPTURED_VARIABLE", '"late"'],
  ["moduleLet", "CODE_MUTABLE_OUTER", '"level"'],
  ["moduleVar", "CODE_MUTABLE_OUTER", '"old"'],
  ["mutates", "CODE_MUTABLE_OUTER", '"state"'],
  ["changedElsewhere", "CODE_MUTABLE_OUTER", '"list"'],
  ["pushes", "CODE_MUTABLE_OUTER", '"tail"'],
  ["regex", "CODE_MUTABLE_OUTER", '"sticky"'],
  ["setLevel", "CODE_MUTABLE_OUTER", '"level"'],
  ["computed", "CODE_COMPUTED_CONSTANT", '"root"'],
  ["instance", "CODE_COMPUTED_CONSTANT", '"made"'],
  ["through", "CODE_IMPURE_GLOBAL", '"Date"'],
  ["date", "CODE_IMPURE_GLOBAL", '"Date"'],
  ["random", "CODE_IMPURE_GLOBAL", '"Math.random"'],
  ["randomBy", "CODE_IMPURE_GLOBAL", '"Math.random"'],
  ["bareMath", "CODE_IMPURE_GLOBAL", '"Math"'],
  ["environment", "CODE_IMPURE_GLOBAL", '"process"'],
  ["global", "CODE_IMPURE_GLOBAL", '"globalThis"'],
  ["bun", "CODE_IMPURE_GLOBAL", '"Bun"'],
  ["fetches", "CODE_IMPURE_GLOBAL", '"fetch"'],
  ["clock", "CODE_IMPURE_GLOBAL", '"performance"'],
  ["uuid", "CODE_IMPURE_GLOBAL", '"crypto"'],
  ["logs", "CODE_IMPURE_GLOBAL", '"console"'],
  ["timer", "CODE_IMPURE_GLOBAL", '"setTimeout"'],
  ["builtin", "CODE_IMPURE_GLOBAL", '"createHash"'],
  ["asynchronous", "CODE_ASYNC", "async"],
  ["innerAsync", "CODE_ASYNC", "async"],
  ["dynamic", "CODE_UNSUPPORTED", "import()"],
  ["meta", "CODE_UNSUPPORTED", "import.meta"],
  ["self", "CODE_USES_THIS", '"this"'],
  ["generator", "CODE_UNSUPPORTED", "generator"],
];

describe("codeIdentityOf() refuses by name:", () => {
  for (const [name, code, named] of refusals) {
    test(`${name} as ${code}, naming ${named} and its place`, async () => {
      const { refused } = await import("./fixtures/refused.ts");
      const run = refused[name];
      if (run === undefined) throw new Error(`refused.ts has no "${name}"`);
      const refusal = refusalOf(run);
      expect(refusal.code).toBe(code);
      expect(refusal.message).toContain(named);
      expect(refusal.message).toMatch(/refused(-outer)?\.ts:\d+: /);
    });
  }

  test("the message leads from the node to what is at fault", async () => {
    const { refused } = await import("./fixtures/refused.ts");
    const { message, details } = refusalOf(refused["through"]!);
    expect(message).toEndWith("reached through drifting → inner → start");
    expect(message).toContain("params");
    expect(details["variable"]).toBe("Date");
    expect(details["place"]).toEndWith("refused-outer.ts:1");
  });

  test("functions that are in no module as CODE_SOURCE_NOT_FOUND", () => {
    // oxlint-disable-next-line no-new-func, typescript/no-implied-eval -- what is refused
    const made = new Function("w", "return w + 3001") as UserFunction;
    expect(refusalOf(made).code).toBe("CODE_SOURCE_NOT_FOUND");
    expect(refusalOf(Math.abs).code).toBe("CODE_SOURCE_NOT_FOUND");
    expect(refusalOf(sameA.equal.bind(null)).code).toBe("CODE_SOURCE_NOT_FOUND");
  });

  test("a class as CODE_UNSUPPORTED", () => {
    expect(
      refusalOf(
        class {
          x = 1;
        } as unknown as UserFunction,
      ).code,
    ).toBe("CODE_UNSUPPORTED");
  });

  test("one text with two meanings as CODE_AMBIGUOUS, naming both places", () => {
    const { code, message } = refusalOf(sameA.apart);
    expect(code).toBe("CODE_AMBIGUOUS");
    expect(refusalOf(sameB.apart).code).toBe("CODE_AMBIGUOUS");
    expect(message).toContain("same-a.ts:3");
    expect(message).toContain("same-b.ts:3");
  });
});

test("codeIdentityOf() takes one text in two modules as one if it means the same", () => {
  expect(codeIdentityOf(sameA.equal)).toBe(codeIdentityOf(sameB.equal));
});

test("codeIdentityOf() is the same in this thread, a worker, another process and folder", async () => {
  const paths = equal.map((_, i) => join(folder, `after-${i}`, "main.ts"));
  const here: string[] = [];
  for (const path of paths) {
    const module = (await import(path)) as { readonly f: UserFunction };
    here.push(codeIdentityOf(module.f));
  }
  expect(after.slice(0, equal.length)).toEqual(here);
  const child = Bun.spawnSync([process.execPath, workerUrl.pathname, ...paths], { cwd: "/" });
  const there: unknown = JSON.parse(child.stdout.toString());
  expect(there).toEqual([...here, after.at(-1)]);
});

test("codeIdentityOf() knows this package by name and by path as one", () => {
  expect(codeIdentityOf(byName)).toBe(codeIdentityOf(byPath));
});

const byName = (v: number): unknown => (v > 4001 ? new PublicError("OUTPUT_INVALID", "high") : v);
const byPath = (w: number): unknown => (w > 4001 ? new QmtlError("OUTPUT_INVALID", "high") : w);
