import { type ArgsDef, type CommandDef } from "citty";
import { QmtlError } from "../core/errors.ts";

/** Commands that hand all that follows to another program. */
const passing: ReadonlySet<string> = new Set(["run", "bench"]);
/** Flags of every command. */
const always = ["help", "h", "version", "v"];

/**
 * Refuses flags that the command does not have: citty would pass over a misspelt one in silence.
 *
 * @throws QmtlError CONFIG_INVALID naming each.
 */
export async function checkFlags(command: CommandDef, argv: readonly string[]): Promise<void> {
  let leaf = command;
  let rest = argv;
  for (;;) {
    const [name = "", ...after] = rest;
    const children = await resolved(leaf.subCommands);
    const child = children === undefined ? undefined : await resolved(children[name]);
    if (child === undefined) break;
    if (passing.has(name)) return;
    leaf = child;
    rest = after;
  }
  const known = namesOf((await resolved(leaf.args)) ?? {});
  const unknown = rest
    .filter((word) => /^--?[^\d-]/.test(word))
    .map((word) => (/^-+([^=]*)/.exec(word) ?? [])[1] ?? "")
    .filter((name) => !known.has(name) && !known.has(name.replace(/^no-/, "")));
  if (unknown.length === 0) return;
  throw new QmtlError(
    "CONFIG_INVALID",
    `Cannot read the command line: found ${unknown.map((name) => `"--${name}"`).join(", ")}, wanted flags that --help lists`,
  );
}

function namesOf(args: ArgsDef): ReadonlySet<string> {
  const aliases = Object.values(args).flatMap((arg) =>
    "alias" in arg && arg.alias !== undefined ? [arg.alias].flat() : [],
  );
  return new Set([...always, ...Object.keys(args), ...aliases]);
}

/** What citty lets be given as a value, a promise or a function of no arguments. */
async function resolved<T>(value: T | Promise<T> | (() => T | Promise<T>)): Promise<T> {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- T is never a function here
  return await (typeof value === "function" ? (value as () => T | Promise<T>)() : value);
}
