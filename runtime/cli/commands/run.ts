import { existsSync } from "node:fs";
import { defineCommand } from "citty";
import { passOn } from "../child.ts";

/** `qmtl run FILE [flags]`: a strategy file as the program; `--help` after FILE lists its flags. */
export const runCommand = defineCommand({
  meta: { name: "run", description: "Run a strategy file, flags after it are the strategy's" },
  args: {
    file: {
      type: "positional",
      required: true,
      description: "Strategy file, strategies/binance_history.ts",
    },
  },
  async run({ args, rawArgs }) {
    if (!existsSync(args.file)) {
      console.error(`qmtl: Cannot run "${args.file}": there is no such file, wanted a strategy`);
      process.exitCode = 1;
      return;
    }
    process.exitCode = await passOn(rawArgs);
  },
});
