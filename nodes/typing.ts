import {
  type Declaration,
  type FieldKind,
  type Params,
  type Row,
  type Schema,
  type Window,
} from "../runtime/index.ts";

declare const output: unique symbol;

/** Anything a node can read from: a stream or another node, with the schema of its records. */
export interface Upstream<S extends Schema = Schema> {
  /** For the compiler only. */
  readonly [output]?: S;
  readonly schema: S;
  /** What the graph is built from. */
  readonly declaration: Declaration;
}

/** Schemas of a join's inputs: by name, or by position. */
export type Schemas = Readonly<Record<string, Schema>> | readonly Schema[];

/** A join's inputs for their schemas. */
export type Inputs<T extends Schemas> = {
  readonly [K in keyof T]: T[K] extends Schema ? Upstream<T[K]> : never;
};

/** What a join's compute gets: a window per input, under the input's name or position. */
export type Windows<T extends Schemas> = {
  readonly [K in keyof T]: T[K] extends Schema ? Window<T[K]> : never;
};

/** What compute is told beside its windows; the object is reused. */
export interface Context {
  /** Symbol, or a join's keys joined by `|`. */
  readonly key: string;
  /** Close time T, ms since epoch: every bar closed by T may be seen, nothing else. */
  readonly time: number;
}

type Keys<R> = R extends unknown ? keyof R : never;

/** `unknown` if `R` is a right result for schema `S`, else a sentence for the compiler's message. */
export type CheckResult<
  R,
  S extends Schema,
  // biome-ignore lint/suspicious/noConfusingVoidType: a function without return has this type
  V = Exclude<R, undefined | void>,
> = [V] extends [never]
  ? unknown
  : [V] extends [PromiseLike<unknown>]
    ? { "compute must not be async": "fetch in a provider; compute only computes" }
    : [V] extends [Row<S>]
      ? [Exclude<Keys<V>, keyof S>] extends [never]
        ? unknown
        : { "result has a field that schema lacks": Exclude<Keys<V>, keyof S> }
      : Row<S> | undefined;

/** What every node may be given. */
export interface CommonOptions<S extends Schema, P extends Params> {
  /** Fields of the result, in wire order. */
  readonly schema: S;
  /** Plain data the function gets; part of the node's identity. */
  readonly params?: P;
  /** For people: reports, errors, metrics. Not part of the identity. */
  readonly name?: string;
  readonly tags?: readonly string[];
  /** Bar length of the result; default the finest input's. */
  readonly interval?: string | number;
  /** True: the outputs get a topic; `{ topic }`: that topic. */
  readonly publish?: boolean | { readonly topic: string };
}

/** Fields of schema `S` as an operator writes them. */
export type MutableRow<S extends Schema> = { -readonly [F in keyof S]: number };

/** Names of the fields of `S`. */
export type FieldOf<S extends Schema> = keyof S & string;

/** A schema of which field `F` is a number. */
export type SchemaWith<F extends string> = Readonly<Record<F, FieldKind>>;
