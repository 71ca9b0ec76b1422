/** Runs `bun ARGS…` in the foreground and returns its exit code; signals reach it too. */
export async function passOn(args: readonly string[]): Promise<number> {
  const child = Bun.spawn([process.execPath, ...args], {
    stdin: "inherit",
    stdout: "inherit",
    stderr: "inherit",
  });
  const forward = (signal: NodeJS.Signals): void => child.kill(signal);
  process.on("SIGINT", forward);
  process.on("SIGTERM", forward);
  try {
    return await child.exited;
  } finally {
    process.off("SIGINT", forward);
    process.off("SIGTERM", forward);
  }
}
