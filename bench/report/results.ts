import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { availableParallelism, cpus } from "node:os";
import { dirname } from "node:path";
import { z } from "zod";
import { type Measured } from "../harness.ts";

const measured = z.strictObject({
  name: z.string(),
  role: z.enum(["ours", "baseline", "limit"]),
  nsPerRecord: z.number(),
  isLatency: z.boolean().exactOptional(),
  note: z.string().exactOptional(),
});

const suiteResult = z.strictObject({
  takenAt: z.string(),
  machine: z.string(),
  bun: z.string(),
  rows: z.array(measured),
});

const results = z.record(z.string(), suiteResult);

/** What each suite came to when it ran last, by its name. */
export type Results = Readonly<Record<string, z.output<typeof suiteResult>>>;

/** The result of a suite that ran here and now. */
export function resultOf(rows: readonly Measured[]): Results[string] {
  const machine = `${cpus()[0]?.model ?? "unknown CPU"}, ${availableParallelism()} cores`;
  return { takenAt: new Date().toISOString(), machine, bun: Bun.version, rows: [...rows] };
}

/** The results in `file`; none if it is not there. @throws Error if it cannot be read as such. */
export function readResults(file: string): Results {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return {};
    throw error;
  }
  const parsed = results.safeParse(JSON.parse(text));
  if (parsed.success) return parsed.data;
  throw new Error(`Cannot compare with ${file}: it has another form, delete it and run again`);
}

/** Puts `found` into `file`, which keeps the suites that did not run now. */
export function writeResults(file: string, found: Results): void {
  mkdirSync(dirname(file), { recursive: true });
  const next = `${file}.next`;
  writeFileSync(next, `${JSON.stringify({ ...readResults(file), ...found }, null, 2)}\n`);
  renameSync(next, file);
}
