import { z } from "zod";
import { checkSettings, QmtlError } from "../../runtime/index.ts";

const recordedSource = z.strictObject({
  kind: z.literal("recorded"),
  directory: z.string().min(1).describe("Folder of SYMBOL-INTERVAL-*.csv files"),
  files: z
    .array(z.string().min(1))
    .min(1)
    .max(10_000)
    .optional()
    .describe(
      "Names of the files to serve, and no others; files that the folder rule leaves out can be named",
    ),
});

const generatedSource = z.strictObject({
  kind: z.literal("generated"),
  seed: z.int().min(0).max(0xffff_ffff).default(1).describe("Same seed, same bars, everywhere"),
});

/** Settings of the simulator: unit in the name, reason in the text, a limit on each. */
export const simulatorConfig = z.strictObject({
  source: z
    .discriminatedUnion("kind", [recordedSource, generatedSource])
    .describe("Where bars come from"),
  port: z.int().min(0).max(65_535).default(0).describe("TCP port on 127.0.0.1; 0 takes a free one"),
  faults: z
    .array(z.string().min(1).max(200))
    .max(100)
    .default([])
    .describe('Faults to serve, such as "429:every=10,retryAfter=2"'),
  serverTimeMs: z
    .int()
    .min(0)
    .max(8_640_000_000_000)
    .optional()
    .describe("The exchange's clock, stopped; recorded data stop it 1 s after their last bar"),
  weightPerMinute: z
    .int()
    .min(1)
    .max(10_000_000)
    .default(6_000)
    .describe("Weight limit of one wall-clock minute, as exchangeInfo tells it"),
  banAfter: z
    .int()
    .min(1)
    .max(1_000_000)
    .default(20)
    .describe("Requests after a 429 until the address is banned (418)"),
});

/** Settings with all defaults filled in. */
export type SimulatorConfig = z.output<typeof simulatorConfig>;

/** Settings as a caller writes them. */
export type SimulatorSettings = z.input<typeof simulatorConfig>;

/** @throws QmtlError CONFIG_INVALID naming every fault. */
export function parseSimulatorConfig(given: unknown): SimulatorConfig {
  const { settings, faults } = checkSettings(simulatorConfig, given);
  if (settings !== undefined) return settings;
  throw new QmtlError("CONFIG_INVALID", `Cannot start the simulator: ${faults.join("; ")}`);
}
