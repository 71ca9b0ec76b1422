import { type z } from "zod";

/** Settings that keep to their schema, or all that is wrong with them, a text each. */
export type CheckedSettings<Output> =
  | { readonly settings: Output; readonly faults: readonly [] }
  | { readonly settings: undefined; readonly faults: readonly string[] };

/**
 * `given` as `schema` reads it. A fault says where it is, what was found and what was wanted, in the
 * schema's own words if it has any: `threads: found 0, wanted >= 1`.
 */
export function checkSettings<Schema extends z.ZodType>(
  schema: Schema,
  given: unknown,
): CheckedSettings<z.output<Schema>> {
  const parsed = schema.safeParse(given, { error: faultOf });
  if (parsed.success) return { settings: parsed.data, faults: [] };
  return {
    settings: undefined,
    faults: parsed.error.issues.map(({ path, message }) =>
      [path.join("."), message].filter((part) => part !== "").join(": "),
    ),
  };
}

/** Words for what a schema has none for; undefined leaves those of the library. */
function faultOf(issue: z.core.$ZodRawIssue): string | undefined {
  const wanted = wantedText(issue);
  return wanted === undefined ? undefined : `${foundText(issue.input)}wanted ${wanted}`;
}

function wantedText(issue: z.core.$ZodRawIssue): string | undefined {
  if (issue.code === "too_small") return limitText(issue, ">", issue.minimum);
  if (issue.code === "too_big") return limitText(issue, "<", issue.maximum);
  if (issue.code === "invalid_value") return issue.values.map(String).join(", ");
  if (issue.code !== "invalid_type") return undefined;
  const noun = issue.expected === "int" ? "integer" : issue.expected;
  return `${/^[aeiou]/.test(noun) ? "an" : "a"} ${noun}`;
}

function limitText(
  { origin, inclusive }: { readonly origin: string; readonly inclusive?: boolean | undefined },
  sign: string,
  limit: number | bigint,
): string {
  const noun = { string: " characters", array: " entries" }[origin] ?? "";
  return `${sign}${inclusive === false ? "" : "="} ${limit}${noun}`;
}

/** Numbers alone are repeated: a text may be a password. */
function foundText(input: unknown): string {
  if (input === undefined) return "found none, ";
  return typeof input === "number" && !Number.isNaN(input) ? `found ${input}, ` : "";
}
