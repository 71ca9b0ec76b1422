import { defineCommand } from "citty";

/** `qmtl history …`: what is stored, what is missing, and rows in and out; each loaded when called. */
export const historyCommand = defineCommand({
  meta: { name: "history", description: "Look into the history store and complete it" },
  subCommands: {
    list: async () => (await import("./coverage.ts")).listCommand,
    coverage: async () => (await import("./coverage.ts")).coverageCommand,
    gaps: async () => (await import("./coverage.ts")).gapsCommand,
    repair: async () => (await import("./repair.ts")).repairCommand,
    import: async () => (await import("./import.ts")).importCommand,
    export: async () => (await import("./export.ts")).exportCommand,
  },
});
