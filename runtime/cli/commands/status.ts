import { defineCommand } from "citty";
import { plainTable, Stack } from "../servers/index.ts";

/** `qmtl status`: how the servers of `qmtl up` are doing; exit status 1 if one does not answer. */
export const statusCommand = defineCommand({
  meta: { name: "status", description: "Show the servers that `qmtl up` started" },
  args: {
    dir: { type: "string", description: "The directory given to `qmtl up`; default ~/.qmtl" },
    json: { type: "boolean", description: "Print JSON" },
  },
  async run({ args }) {
    const statuses = await new Stack(args.dir).status();
    if (statuses.some(({ state }) => state === "silent")) process.exitCode = 1;
    if (args.json === true) {
      console.log(JSON.stringify(statuses));
      return;
    }
    const table = plainTable(["server", "state", "url", "up", "pid", "log"]);
    for (const { kind, state, url, upMs, pids, logPath } of statuses) {
      const up = upMs === undefined ? "" : `${Math.round(upMs / 1_000)} s`;
      table.push([kind, state, url ?? "", up, pids.join(" "), logPath ?? ""]);
    }
    console.log(table.toString());
  },
});
