import { QmtlError } from "../../core/errors.ts";
import { type UserFunction } from "../declaration.ts";
import { canonicalForm } from "./canonical-tree.ts";
import { Declaration, hashOf } from "./declaration-hash.ts";
import { type FoundFunction, findFunction } from "./find-function.ts";
import { ModuleNames } from "./meaning.ts";
import { textAt } from "./syntax.ts";

const known = new WeakMap<UserFunction, string>();

/**
 * Identity of a function's code, 32 hex digits: equal for functions that mean the same, whatever
 * thread, folder or test runs them. It is taken from the source as written, not from the text that
 * runs: see docs/decisions/code-identity.md.
 *
 *   C1  Types, comments, layout, local names and where a function stands do not matter.
 *   C2  Outer names count by what they stand for, through imports; packages by name and version.
 *   C3  What cannot be known from the source is refused by name, never left out.
 *
 * Cost: about 0.25 ms a function, and 1 to 10 ms a module once.
 *
 * @throws QmtlError CODE_* naming the variable at fault and its place, and the way out.
 */
export function codeIdentityOf(run: UserFunction): string {
  const before = known.get(run);
  if (before !== undefined) return before;
  const identity = identityOf(run);
  known.set(run, identity);
  return identity;
}

function identityOf(run: UserFunction): string {
  const label = `the code of "${run.name || "a function"}"`;
  if (/^class\b/.test(run.toString())) {
    throw new QmtlError(
      "CODE_UNSUPPORTED",
      `Cannot identify ${label}: found a class, wanted a function`,
    );
  }
  const found = findFunction(run);
  if (found.length === 0) throw notFound(run, label);
  const results = found.map((one) => resultOf(one, label));
  const hashes = new Set(results.map((result) => (result instanceof QmtlError ? "" : result)));
  const [first] = results;
  if (hashes.size > 1) throw ambiguous(found, label);
  if (first === undefined || first instanceof QmtlError) throw first ?? notFound(run, label);
  return first;
}

function notFound(run: UserFunction, label: string): QmtlError {
  const isNative = run.toString().includes("[native code]");
  const what = isNative ? "a bound or native function" : "no source of it in the loaded modules";
  return new QmtlError(
    "CODE_SOURCE_NOT_FOUND",
    `Cannot identify ${label}: found ${what}, wanted a function that is written in a module (not bound, not made by eval)`,
    { function: run.name },
  );
}

function ambiguous(found: readonly FoundFunction[], label: string): QmtlError {
  const places = found.map(({ module, source }) => module.placeOf(source.node)).join(" and ");
  return new QmtlError(
    "CODE_AMBIGUOUS",
    `Cannot identify ${label}: the same text means different things at ${places}, name the functions differently or pass what differs in params`,
    { places },
  );
}

/** The identity, or why there is none. */
function resultOf({ module, source }: FoundFunction, label: string): string | QmtlError {
  const path: Declaration[] = [];
  const names = new ModuleNames(module, source.ancestors);
  const root = new Declaration("", false, () =>
    canonicalForm(source.node, { module, names, isThisOutside: true }),
  );
  try {
    refuseGenerator({ module, source });
    return hashOf(root, path);
  } catch (error) {
    if (!(error instanceof QmtlError)) throw error;
    const through = path.map((one) => one.name).filter((name) => name !== "");
    const reached = through.length === 0 ? "" : `, reached through ${through.join(" → ")}`;
    const place = module.placeOf(source.node);
    const message = `Cannot identify ${label} (${place}): at ${error.message}${reached}`;
    return new QmtlError(error.code, message, { ...error.details, function: place });
  }
}

function refuseGenerator({ module, source: { node, ancestors } }: FoundFunction): void {
  if (node["generator"] === true) {
    module.refuse("CODE_UNSUPPORTED", node, "a generator, wanted a function that returns at once");
  }
  const kind = textAt(ancestors.at(-1), "kind");
  if (kind === "constructor") {
    module.refuse("CODE_UNSUPPORTED", node, "a constructor, wanted a function");
  }
}
