#!/usr/bin/env bun
/** The commands, each loaded when it is called. */
import { defineCommand, runMain } from "citty";

const main = defineCommand({
  meta: {
    name: "qmtl",
    version: "0.1.0",
    description: "A stream worker runtime for market-data strategies",
  },
  subCommands: {
    run: async () => (await import("./run.ts")).runCommand,
    history: async () => (await import("./history.ts")).historyCommand,
    exchange: async () => (await import("./exchange.ts")).exchangeCommand,
    up: async () => (await import("./up.ts")).upCommand,
    down: async () => (await import("./down.ts")).downCommand,
    status: async () => (await import("./status.ts")).statusCommand,
    doctor: async () => (await import("./doctor.ts")).doctorCommand,
    bench: async () => (await import("./bench.ts")).benchCommand,
  },
});

await runMain(main);
