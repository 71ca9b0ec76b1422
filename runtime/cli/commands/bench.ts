import { defineCommand } from "citty";
import { passOn } from "../child.ts";

/** `qmtl bench [flags]`: the benchmarks, in one table. */
export const benchCommand = defineCommand({
  meta: { name: "bench", description: "Run the benchmarks and print one table" },
  async run({ rawArgs }) {
    const file = new URL("../../../bench/run.ts", import.meta.url).pathname;
    process.exitCode = await passOn([file, ...rawArgs]);
  },
});
