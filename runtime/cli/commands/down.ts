import { defineCommand } from "citty";
import { Stack, serverKindsOf } from "../servers/index.ts";

/** `qmtl down [kafka|questdb|redis|neo4j …]`: ends what `qmtl up` started; data are kept. */
export const downCommand = defineCommand({
  meta: { name: "down", description: "Stop the servers that `qmtl up` started; data are kept" },
  args: {
    server: {
      type: "positional",
      required: false,
      description: "kafka, questdb, redis or neo4j; several are allowed; all if none is named",
    },
    dir: { type: "string", description: "The directory given to `qmtl up`; default ~/.qmtl" },
    json: { type: "boolean", description: "Print the names of what was stopped as JSON" },
  },
  async run({ args }) {
    const stack = new Stack(args.dir);
    const kinds = serverKindsOf(args._);
    const ran = await Promise.all(kinds.map(async (kind) => await stack.down(kind)));
    const stopped = kinds.filter((_, i) => ran[i] === true);
    if (args.json === true) {
      console.log(JSON.stringify({ stopped }));
      return;
    }
    for (const [i, kind] of kinds.entries()) {
      console.log(`${ran[i] === true ? "down" : "was not up"}  ${kind}`);
    }
  },
});
