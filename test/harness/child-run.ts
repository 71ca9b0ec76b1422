import { join } from "node:path";

/** Root of the repository. */
export const repository: string = join(import.meta.dir, "../..");
/** The main job's file. */
export const binanceHistory: string = join(repository, "strategies/binance_history.ts");
/** The command `qmtl`. */
export const qmtl: string = join(repository, "runtime/cli/main.ts");

/** What a program came to. */
export interface ChildResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** How a program is started. */
export interface ChildOptions {
  /** Working directory, and with it the place of `qmtl.yml`. */
  readonly cwd: string;
  /** Variables on top of an environment without any `QMTL_*` or proxy. */
  readonly env?: Readonly<Record<string, string>>;
  /** Command that starts the program, such as `setpriv`. */
  readonly wrap?: readonly string[];
}

/** An address that nothing listens on: what goes through it finds no exchange, on any machine. */
export const deadProxy: Readonly<Record<string, string>> = { HTTPS_PROXY: "http://127.0.0.1:9" };

/** A program that runs Bun with `args`, as a user would start it. */
export function spawnBun(
  args: readonly string[],
  { cwd, env = {}, wrap = [] }: ChildOptions,
): Bun.Subprocess<"ignore", "pipe", "pipe"> {
  const inherited = Object.entries(process.env).filter(
    ([name]) => !/^QMTL_|_PROXY$/i.test(name) && name !== "NODE_ENV" && name !== "FORCE_COLOR",
  );
  return Bun.spawn([...wrap, process.execPath, ...args], {
    cwd,
    env: { ...Object.fromEntries(inherited), NO_COLOR: "1", ...env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
}

/** Runs Bun with `args` to its end. */
export async function runBun(args: readonly string[], options: ChildOptions): Promise<ChildResult> {
  const child = spawnBun(args, options);
  const [stdout, stderr, exitCode] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { exitCode, stdout, stderr };
}
