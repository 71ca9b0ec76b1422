import { type Schema } from "../contract/schema.ts";
import { type IntervalName } from "../core/interval.ts";

/** A value that may stand in `params`: plain data, hashed into the definition's ID. */
export type Param =
  | number
  | string
  | boolean
  | null
  | readonly Param[]
  | { readonly [name: string]: Param };

/** Parameters of a node by name. */
export type Params = { readonly [name: string]: Param };

/** Where a stream's records come from. Simulated and recorded data count as the exchange's. */
export type SourceIdentity =
  | { readonly exchange: string; readonly market: string; readonly data: string }
  | { readonly topic: string };

/** What a node does when an input has no bar in the interval that closes. */
export type OnMissing = "skip" | "last" | "fail";

/** What a node does with a record at or before the last one that fired. */
export type OnLate = "drop" | "insert";

interface DeclaredCommon {
  readonly name: string | undefined;
  readonly tags: readonly string[];
  readonly schema: Schema;
  readonly publish: boolean | { readonly topic: string };
}

/** A stream as declared: interval resolved, period in bars. */
export interface StreamDeclaration extends DeclaredCommon {
  readonly kind: "stream";
  readonly source: SourceIdentity;
  readonly symbols: readonly string[] | "*";
  readonly interval: IntervalName;
  readonly period: number;
  readonly onLate: OnLate;
  /** URL of the history store that the stream names; not part of its identity. */
  readonly store: string | undefined;
  /** Keys a `"*"` stream takes, at most. */
  readonly maxKeys: number;
}

/** One input of a node: its name (position for lists) and the bars it may read, if given. */
export interface DeclaredInput {
  readonly name: string;
  readonly from: Declaration;
  readonly lookback: number | undefined;
}

/**
 * A processing node as declared. `single` has one input named `0`; `record` inputs are sorted by
 * name, so that the order in the source does not matter; `list` inputs are named by position.
 */
export interface NodeDeclaration extends DeclaredCommon {
  readonly kind: "node" | "join" | "operator";
  readonly form: "single" | "record" | "list";
  readonly inputs: readonly DeclaredInput[];
  /** Undefined: the finest input's. */
  readonly interval: IntervalName | undefined;
  readonly params: Params;
  readonly onMissing: OnMissing;
  /** `compute` of nodes and joins, `step` of operators. */

  readonly run: UserFunction;
  /** Float64s of state a key that an operator owns; 0 for others. */
  readonly stateFloats: number;
}

/** A function of the user, whatever its parameters; only generated code and the executor call it. */
export type UserFunction = (...inputs: never[]) => unknown;

/** What a strategy declares; object identity is the node's identity inside one `setup()`. */
export type Declaration = StreamDeclaration | NodeDeclaration;
