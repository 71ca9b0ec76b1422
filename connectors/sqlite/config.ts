import { z } from "zod";
import { checkSettings, QmtlError } from "../../runtime/index.ts";

/** Settings of a SQLite store, history and state alike. */
export const sqliteConfig = z.strictObject({
  path: z
    .string()
    .min(1, "wanted the path of a file")
    .describe("The store's file; a writer makes it and the directories above it"),
  bytesMax: z.coerce
    .number()
    .int()
    .min(65_536)
    .max(2 ** 46)
    .optional()
    .describe("Bytes of the file at most, else the disk decides; a write beyond gives STORE_FULL"),
});

export type SqliteConfig = z.output<typeof sqliteConfig>;

/**
 * The settings that a URL `sqlite:PATH?key=value` carries. The path is taken as it stands, without
 * percent-decoding, up to the last `?`.
 *
 * @throws QmtlError CONFIG_INVALID naming every unknown key and bad value.
 */
export function parseSqliteUrl(url: string): SqliteConfig {
  const match = /^sqlite:(.*?)(?:\?([^?]*))?$/s.exec(url);
  const given = Object.fromEntries(new URLSearchParams(match?.[2] ?? ""));
  const { settings, faults } = checkSettings(sqliteConfig, { ...given, path: match?.[1] ?? "" });
  if (settings !== undefined) return settings;
  throw new QmtlError(
    "CONFIG_INVALID",
    `Cannot open "${url}": ${faults.join("; ")}, wanted sqlite:PATH?key=value`,
  );
}
