import { z } from "zod";
import { checkSettings, QmtlError } from "../../runtime/index.ts";

const name = z
  .string()
  .regex(
    /^[A-Za-z0-9._-]{0,128}$/,
    "wanted up to 128 letters, digits, dots, dashes and underscores",
  )
  .describe("Empty: fresh data for this opener. A name: shared by the openers of this thread");

const bytes = z.coerce
  .number()
  .int()
  .min(1_024)
  .max(2 ** 40);

/** `memory:` as a history store. */
export const memoryHistoryConfig = z.strictObject({
  name,
  bytesMax: bytes
    .default(2 ** 30)
    .describe("Bytes of rows kept, in bytes; a page beyond is refused with STORE_FULL"),
});

/** `memory:` as a state store. */
export const memoryStateConfig = z.strictObject({
  name,
  bytesMax: bytes
    .default(2 ** 30)
    .describe("Bytes of state kept, in bytes; a write beyond is refused with STORE_FULL"),
});

/** `memory:` as a transport. */
export const memoryTransportConfig = z.strictObject({
  name,
  bytesMax: bytes
    .default(2 ** 26)
    .describe("Bytes kept per partition; the oldest go first, as with Kafka's retention.bytes"),
  batchBytesMax: z.coerce
    .number()
    .int()
    .min(61)
    .max(2 ** 30)
    .default(1_048_588)
    .describe("Bytes of one record batch; the default is Kafka's own message.max.bytes"),
});

/**
 * The settings that a URL `memory:NAME?key=value` carries.
 *
 * @throws QmtlError CONFIG_INVALID naming every unknown key and bad value.
 */
export function parseMemoryUrl<Schema extends z.ZodType>(
  url: string,
  schema: Schema,
): z.output<Schema> {
  const match = /^memory:([^?]*)(?:\?(.*))?$/s.exec(url);
  const given = Object.fromEntries(new URLSearchParams(match?.[2] ?? ""));
  const { settings, faults } = checkSettings(schema, { ...given, name: match?.[1] ?? url });
  if (settings !== undefined) return settings;
  throw new QmtlError(
    "CONFIG_INVALID",
    `Cannot open "${url}": ${faults.join("; ")}, wanted memory:NAME?key=value`,
  );
}
