import { escapeIlp } from "../../../runtime/index.ts";

/** A field of a line: a string is quoted, an integer gets its `i`, a float is written as it is. */
export type LineField = string | { readonly integer: number } | { readonly float: number };

/** A row of one of the small tables, as a line of the server's ingestion protocol. */
export interface Line {
  readonly table: string;
  readonly symbols: Readonly<Record<string, string>>;
  readonly fields: Readonly<Record<string, LineField>>;
  /** Designated timestamp, ms since epoch. */
  readonly timeMs: number;
}

/** The text of `lines`; for rows of a series there is `IlpEncoder`, which is 40 times as fast. */
export function encodeLines(lines: readonly Line[]): Uint8Array {
  return new TextEncoder().encode(lines.map(textOf).join(""));
}

function textOf({ table, symbols, fields, timeMs }: Line): string {
  const tags = Object.entries(symbols).map(([name, value]) => `,${name}=${escapeIlp(value)}`);
  const values = Object.entries(fields).map(([name, value]) => `${name}=${valueOf(value)}`);
  return `${table}${tags.join("")} ${values.join(",")} ${timeMs * 1_000}t\n`;
}

function valueOf(value: LineField): string {
  if (typeof value === "string") return `"${value.replaceAll(/["\\\n\r]/g, "\\$&")}"`;
  return "integer" in value ? `${value.integer}i` : String(value.float);
}
