import { defineCommand } from "citty";
import pc from "picocolors";
import { errorText } from "../../core/errors.ts";
import { Stack, serverKindsOf } from "../servers/index.ts";

/** `qmtl up [kafka|questdb|redis|neo4j …]`: the real servers on this machine, without Docker. */
export const upCommand = defineCommand({
  meta: { name: "up", description: "Start Kafka, QuestDB, Redis and Neo4j on this machine" },
  args: {
    server: {
      type: "positional",
      required: false,
      description: "kafka, questdb, redis or neo4j; several are allowed; all if none is named",
    },
    dir: { type: "string", description: "Where data, logs and state are kept; default ~/.qmtl" },
    json: { type: "boolean", description: "Print the URLs as one JSON object" },
  },
  async run({ args }) {
    const stack = new Stack(args.dir);
    const kinds = serverKindsOf(args._);
    const results = await Promise.allSettled(
      kinds.map(async (kind) => {
        const url = await stack.up(kind);
        if (args.json !== true) console.log(`${pc.green("up")}  ${kind.padEnd(8)} ${url}`);
      }),
    );
    for (const result of results) {
      if (result.status === "fulfilled") continue;
      process.exitCode = 1;
      console.error(pc.red(errorText(result.reason)));
    }
    if (args.json !== true) return;
    const running = (await stack.status()).filter(({ state }) => state === "up");
    console.log(JSON.stringify(Object.fromEntries(running.map(({ kind, url }) => [kind, url]))));
  },
});
