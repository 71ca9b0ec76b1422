import { z } from "zod";
import { checkSettings, QmtlError } from "../../runtime/index.ts";

/** Settings of the REST client: unit in the name, reason in the text, a limit on each. */
export const binanceConfig = z.strictObject({
  baseUrl: z
    .url({ protocol: /^https?$/ })
    .default("https://data-api.binance.vision")
    .describe("Address of the REST API; the default host serves public data and needs no key"),
  pageRowsMax: z
    .int()
    .min(1)
    .max(1_000)
    .default(1_000)
    .describe("Bars per request; 1,000 is the exchange's own limit and costs no more than one"),
  silenceMsMax: z
    .int()
    .min(10)
    .max(60_000)
    .default(5_000)
    .describe("Longest wait for the next byte of an answer; then the exchange is unreachable"),
  tryCountMax: z
    .int()
    .min(1)
    .max(20)
    .default(6)
    .describe("Tries of one request, the first one included"),
  backoffMsBase: z
    .int()
    .min(1)
    .max(60_000)
    .default(250)
    .describe("Longest pause before the second try; it doubles with each further one"),
  backoffMsMax: z
    .int()
    .min(1)
    .max(600_000)
    .default(15_000)
    .describe("Longest pause between two tries"),
  blockedMs: z
    .int()
    .min(1)
    .max(3_600_000)
    .default(60_000)
    .describe("Pause of all requests after a security block (403) in the middle of a run"),
  stopMsMax: z
    .int()
    .min(1)
    .max(86_400_000)
    .default(600_000)
    .describe("Longest Retry-After that is waited for; a longer ban (up to 3 days) is an error"),
  requestsInFlightMax: z
    .int()
    .min(1)
    .max(64)
    .default(8)
    .describe("Requests under way at once; a hundred a second use up the weight of a minute"),
  weightPerMinute: z
    .int()
    .min(1)
    .max(10_000_000)
    .default(6_000)
    .describe("The exchange's weight limit until its exchangeInfo has been read"),
  weightShareMax: z
    .number()
    .gt(0)
    .max(1)
    .default(0.9)
    .describe(
      "Share of the limit that is used; the rest is room for other programs on the address",
    ),
  answerBytesMax: z
    .int()
    .min(1_024)
    .max(268_435_456)
    .default(33_554_432)
    .describe("Longest answer; a full page has 175 kB, a full exchangeInfo about 16 MB"),
  lateMsMax: z
    .int()
    .min(0)
    .max(60_000)
    .default(2_000)
    .describe("How late a bar may appear after it closed; until then its absence proves nothing"),
});

/** Settings of the REST client with all defaults filled in. */
export type BinanceConfig = z.output<typeof binanceConfig>;

/** Settings as a caller writes them. */
export type BinanceSettings = z.input<typeof binanceConfig>;

/** @throws QmtlError CONFIG_INVALID naming every fault. */
export function parseBinanceConfig(given: unknown): BinanceConfig {
  const { settings, faults } = checkSettings(binanceConfig, given);
  if (settings !== undefined) return settings;
  throw new QmtlError("CONFIG_INVALID", `Cannot use the exchange's settings: ${faults.join("; ")}`);
}
