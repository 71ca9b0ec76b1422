import { join } from "node:path";
import { defineCommand } from "citty";
import pc from "picocolors";
import { type Check, plainTable, runChecks, Stack } from "../servers/index.ts";

const colorOf = { ok: pc.green, warn: pc.yellow, fail: pc.red } as const;

/** `qmtl doctor`: what this machine lacks, with the line that repairs it; exit status 1 on a fail. */
export const doctorCommand = defineCommand({
  meta: { name: "doctor", description: "Check Java, Maven, packages, ports and disk space" },
  args: {
    dir: { type: "string", description: "The directory given to `qmtl up`; default ~/.qmtl" },
    json: { type: "boolean", description: "Print JSON" },
  },
  async run({ args }) {
    const checks = await runChecks(
      new Stack(args.dir),
      join(import.meta.dirname, "..", "..", ".."),
    );
    if (checks.some(({ verdict }) => verdict === "fail")) process.exitCode = 1;
    if (args.json === true) {
      console.log(JSON.stringify(checks));
      return;
    }
    const table = plainTable(["check", "", "found", "what to do"]);
    for (const check of checks) {
      if (isPinned(check)) continue;
      table.push([check.name, colorOf[check.verdict](check.verdict), check.found, check.advice]);
    }
    table.push(["packages", colorOf.ok("ok"), `${checks.filter(isPinned).length} as pinned`, ""]);
    console.log(table.toString());
  },
});

/** A table of twenty packages that are as they should be hides the one line that is not. */
function isPinned({ name, verdict }: Check): boolean {
  return name.startsWith("package ") && verdict === "ok";
}
