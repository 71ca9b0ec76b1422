import { QmtlError } from "../../../core/errors.ts";

/** Output of a failed tool that goes into the message, in lines. */
const outputLinesMax = 12;

/** How to run a tool. */
export interface ToolOptions {
  readonly directory?: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
  /** For the message: `Cannot <action>`. */
  readonly action: string;
}

/**
 * Runs `command` to its end and returns what it wrote to standard output.
 *
 * @throws QmtlError SERVER_START_FAILED if it fails; the message ends in what it wrote.
 */
export async function runTool(command: readonly string[], options: ToolOptions): Promise<string> {
  const child = Bun.spawn([...command], {
    cwd: options.directory ?? "/",
    env: { ...process.env, ...options.environment },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    timeout: options.timeoutMs ?? 600_000,
    killSignal: "SIGKILL",
  });
  const [output, errors, status] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (status === 0) return output;
  const words = `${output}\n${errors}`.trim().split("\n").slice(-outputLinesMax).join("\n");
  throw new QmtlError(
    "SERVER_START_FAILED",
    `Cannot ${options.action}: ${command[0] ?? ""} ended with status ${status}, wanted 0; it wrote:\n${words}`,
    { status },
  );
}
