#!/usr/bin/env bun
/** The commands, each loaded when it is called. */
import { defineCommand, runCommand, runMain } from "citty";
import { checkFlags } from "./flags.ts";
import { runGuarded } from "./guard.ts";

const main = defineCommand({
  meta: {
    name: "qmtl",
    version: "0.1.0",
    description: "A stream worker runtime for market-data strategies",
  },
  subCommands: {
    run: async () => (await import("./commands/run.ts")).runCommand,
    history: async () => (await import("./commands/history/index.ts")).historyCommand,
    exchange: async () => (await import("./commands/exchange.ts")).exchangeCommand,
    up: async () => (await import("./commands/up.ts")).upCommand,
    down: async () => (await import("./commands/down.ts")).downCommand,
    status: async () => (await import("./commands/status.ts")).statusCommand,
    doctor: async () => (await import("./commands/doctor.ts")).doctorCommand,
    bench: async () => (await import("./commands/bench.ts")).benchCommand,
  },
});

const argv = process.argv.slice(2);
await runGuarded(async () => await checkFlags(main, argv));
if (process.exitCode !== 1) {
  // What follows a strategy's file is the strategy's, --help too.
  const isStrategy = argv[0] === "run" && argv[1] !== undefined && !argv[1].startsWith("-");
  if (isStrategy) await runCommand(main, { rawArgs: argv });
  else await runMain(main);
}
