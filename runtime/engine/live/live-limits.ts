import { z } from "zod";
import { checkSettings } from "../../core/check-settings.ts";
import { QmtlError } from "../../core/errors.ts";
import { type LivePace } from "../../worker/live/live-order.ts";
import { pendingBarsMax } from "../../worker/task/pending-rows.ts";

/** Paces and limits of a live run, by default. */
export const paceDefaults: LivePace = {
  fetchWaitMsMax: 100,
  partitionBytesMax: 1 << 20,
  fetchBytesMax: 8 << 20,
  batchBytesMax: 1 << 20,
  compression: "none",
  lingerMs: 0,
  checkpointMs: 250,
  maxPendingBars: pendingBarsMax,
};

const ms = (max: number): z.ZodInt => z.int().min(1).max(max);
const bytes = (min: number): z.ZodInt =>
  z
    .int()
    .min(min)
    .max(2 ** 30);

/** What a live run may be given in numbers and names; what is left out has a default. */
const liveLimits = z.strictObject({
  deployment: z
    .string()
    .regex(/^[A-Za-z0-9._-]{1,128}$/, "wanted 1 to 128 letters, digits, dots, dashes, underscores")
    .describe("Name that state is kept under: a part of the checkpoints' keys"),
  threads: z.int().min(1).max(256).optional().describe("Worker threads; default one per core"),
  recordsMax: z.int().min(1).optional().describe("Records after which the run ends"),
  latency: z
    .strictObject({
      field: z.string().min(1),
      unit: z.enum(["ms", "us"]),
      skip: z.int().min(0),
    })
    .optional()
    .describe("Field that holds the producer's clock"),
  offsetReset: z
    .union([z.enum(["fail", "earliest", "latest"]), z.int().min(0)], {
      error: "wanted fail, earliest, latest or a time in ms",
    })
    .describe("Where to begin, and to go on if the position is gone"),
  pace: z.strictObject({
    fetchWaitMsMax: ms(60_000).optional().describe("Longest wait of a fetch"),
    partitionBytesMax: bytes(1_024).optional().describe("Bytes of a fetch per partition"),
    fetchBytesMax: bytes(1_024).optional().describe("Bytes of a fetch"),
    batchBytesMax: bytes(16_384)
      .optional()
      .describe("Bytes of an output batch; 16,384 hold the largest key and record"),
    compression: z
      .enum(["none", "gzip", "snappy", "lz4", "zstd"])
      .optional()
      .describe("Compression of output batches"),
    lingerMs: z
      .int()
      .min(0)
      .max(60_000)
      .optional()
      .describe("Time that outputs wait for others of their batch; 0 sends them at once"),
    checkpointMs: ms(3_600_000).optional().describe("Time between two checkpoints"),
    maxPendingBars: z
      .int()
      .min(2)
      .max(10_000_000)
      .optional()
      .describe("Bars of a key that a join holds while another input is behind"),
  }),
  watch: z.strictObject({
    stallMsMax: ms(3_600_000).min(20).optional().describe("Longest call of a node"),
    crashesMax: z.int().min(1).max(1_000).optional().describe("Crashes before quarantine"),
    crashWindowMs: ms(86_400_000).optional().describe("Time within which crashes count"),
    quarantineMs: ms(86_400_000).optional().describe("First quarantine of a node"),
    quarantineMsMax: ms(86_400_000).optional().describe("Longest quarantine of a node"),
  }),
});

/**
 * Checks what a live run was given, before anything is opened.
 *
 * @throws QmtlError CONFIG_INVALID naming every fault.
 */
export function checkLiveLimits(given: z.input<typeof liveLimits>): void {
  const { settings, faults } = checkSettings(liveLimits, given);
  if (settings !== undefined) return;
  throw new QmtlError("CONFIG_INVALID", `Cannot run live: ${faults.join("; ")}`);
}
