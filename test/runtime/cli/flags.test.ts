import { expect, test } from "bun:test";
import { defineCommand } from "citty";
import { checkFlags } from "../../../runtime/cli/flags.ts";

const leaf = defineCommand({
  args: {
    port: { type: "string" },
    quiet: { type: "boolean", alias: "q" },
    file: { type: "positional" },
  },
});
const main = defineCommand({
  subCommands: {
    // oxlint-disable-next-line eslint/require-await -- commands are loaded when they are called
    serve: async () => leaf,
    run: leaf,
    group: defineCommand({ subCommands: { serve: leaf } }),
  },
});
const check = async (line: string) => await checkFlags(main, line.split(" "));

test("flags that the command has pass, in each spelling", async () => {
  await check("serve --port 1 --quiet -q --no-quiet FILE --help");
  await check("group serve --port=1 -v");
  await check("serve --port -1");
});

test("flags that it has not are all named", async () => {
  const line = check("group serve --prot=1 --quite FILE");
  expect(line).rejects.toThrow('found "--prot", "--quite", wanted flags that --help lists');
  expect(check("--frob")).rejects.toThrow('"--frob"');
});

test("what follows run is the strategy's", async () => {
  await check("run file.ts --anything");
});
