import { createHash } from "node:crypto";
import { type Schema } from "../contract/schema.ts";
import { type IntervalName } from "../core/interval.ts";
import { type Params, type SourceIdentity } from "./declaration.ts";

/** Version of the canonical form: a change of form is a change of every ID. */
const formVersion = "qmtl-id-1";

/** What a definition means: everything that may change an output, and nothing else. */
export type DefinitionMeaning =
  | {
      readonly kind: "stream";
      readonly source: SourceIdentity;
      readonly interval: IntervalName;
      readonly schema: Schema;
    }
  | {
      readonly kind: "node" | "join" | "operator";
      readonly interval: IntervalName;
      readonly schema: Schema;
      /** Hash of the compute function's meaning. */
      readonly code: string;
      readonly params: Params;
      readonly onMissing: string;
      readonly stateFloats: number;
      /** Record inputs sorted by name; list inputs by position. */
      readonly inputs: readonly {
        readonly name: string;
        readonly definitionId: string;
        readonly lookback: number;
      }[];
    };

/** ID of a definition: the first 32 hex digits of SHA-256 over its canonical form. */
export function definitionIdOf(meaning: DefinitionMeaning): string {
  // The schema is ordered data: field order is part of the wire form.
  const form = { ...meaning, schema: Object.entries(meaning.schema) };
  return digest(`definition ${canonical(form)}`);
}

/** ID of a definition's stream for one key. */
export function nodeIdOf(definitionId: string, key: string): string {
  return digest(`node ${canonical([definitionId, key])}`);
}

/** Hash of any canonical text, as long as an ID. */
export function digest(text: string): string {
  return createHash("sha256").update(`${formVersion} ${text}`).digest("hex").slice(0, 32);
}

/**
 * JSON with sorted keys; numbers in their shortest form, so that 60 and 60.0 are the same. NaN,
 * infinities and -0 have no JSON form and are refused where params are declared.
 */
export function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (value !== null && typeof value === "object") {
    const entries = Object.entries(value)
      .filter(([, inner]) => inner !== undefined)
      .toSorted(([a], [b]) => (a < b ? -1 : 1));
    return `{${entries.map(([name, inner]) => `${JSON.stringify(name)}:${canonical(inner)}`).join(",")}}`;
  }
  return JSON.stringify(value);
}

/** Path of the first value in `params` that is not plain data, undefined if all are. */
export function faultOfParams(value: unknown, path = "params"): string | undefined {
  if (value === null || typeof value === "string" || typeof value === "boolean") return undefined;
  if (typeof value === "number") {
    return Number.isFinite(value) && !Object.is(value, -0) ? undefined : `${path} is ${value}`;
  }
  if (typeof value !== "object") return `${path} is of type ${typeof value}`;
  if (!isPlain(value)) return `${path} is not a plain object`;
  for (const [name, inner] of Object.entries(value)) {
    const fault = faultOfParams(inner, `${path}.${name}`);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return Array.isArray(value) || prototype === Object.prototype || prototype === null;
}
