import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { z } from "zod";
import { errorText, QmtlError } from "../../../core/errors.ts";
import { isSameProcess } from "../process/process-identity.ts";

const port = z.int().min(1).max(65_535);

const entrySchema = z.strictObject({
  url: z.string().describe("What the other commands take"),
  port,
  /** QuestDB's two other ports. */
  pgPort: port.optional(),
  ilpPort: port.optional(),
  dataDir: z.string(),
  logPath: z.string(),
  startedAtMs: z.int(),
  isReady: z.boolean(),
  processes: z.array(z.strictObject({ pid: z.int(), startTicks: z.int() })),
});

const stateSchema = z.strictObject({
  version: z.literal(1),
  servers: z.strictObject({
    kafka: entrySchema.optional(),
    questdb: entrySchema.optional(),
    redis: entrySchema.optional(),
    neo4j: entrySchema.optional(),
  }),
});

/** What `qmtl up` knows of one server; kept after `down`, so that its ports stay the same. */
export type StackEntry = z.output<typeof entrySchema>;
/** What `qmtl up` has started from one directory. */
export type StackState = z.output<typeof stateSchema>;

/**
 * The state file at `path`; an empty state if there is none.
 *
 * @throws QmtlError CONFIG_INVALID if it cannot be read as one.
 */
export function readState(path: string): StackState {
  if (!existsSync(path)) return { version: 1, servers: {} };
  try {
    return stateSchema.parse(JSON.parse(readFileSync(path, "utf8")));
  } catch (error) {
    throw new QmtlError(
      "CONFIG_INVALID",
      `Cannot read "${path}": ${errorText(error)}, wanted what "qmtl up" wrote; remove the file to start anew`,
      {},
      error,
    );
  }
}

/** Replaces the state file at once: a reader sees the old one or the new one. */
export function writeState(path: string, state: StackState): void {
  mkdirSync(dirname(path), { recursive: true });
  const scratch = `${path}.${process.pid}`;
  writeFileSync(scratch, `${JSON.stringify(state, undefined, 2)}\n`);
  renameSync(scratch, path);
}

/** True if one of the entry's processes still runs. */
export function isRunning(entry: StackEntry | undefined): entry is StackEntry {
  return entry?.processes.some(({ pid, startTicks }) => isSameProcess(pid, startTicks)) ?? false;
}
