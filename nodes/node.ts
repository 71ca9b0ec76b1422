import {
  checkSchema,
  Interval,
  type NodeDeclaration,
  type OnMissing,
  type Params,
  QmtlError,
  type Schema,
  type UserFunction,
  type Window,
} from "../runtime/index.ts";
import { checkLookback, checkName, checkParams, checkTags } from "./checks.ts";
import {
  type CheckResult,
  type CommonOptions,
  type Context,
  type Inputs,
  type MutableRow,
  type Schemas,
  type Upstream,
  type Windows,
} from "./typing.ts";

/** How a node over one input is declared. */
export interface NodeOptions<U extends Schema, S extends Schema, P extends Params, R>
  extends CommonOptions<S, P> {
  readonly input: Upstream<U>;
  /** Bars it may read and waits for; default the stream's period, or 1 for a node. */
  readonly lookback?: number;
  /** A pure function of its window and params; returning nothing emits nothing. */
  compute(window: Window<U>, params: P, context: Context): R & CheckResult<NoInfer<R>, S>;
}

/** A node over one input: called on each of its bars, once the lookback is there. */
export class Node<
  U extends Schema,
  const S extends Schema,
  P extends Params = Record<never, never>,
  R = unknown,
> implements Upstream<S>
{
  readonly schema: S;
  readonly declaration: NodeDeclaration;

  /** @throws QmtlError SCHEMA_INVALID, INTERVAL_INVALID, ARGUMENT_INVALID or GRAPH_INVALID. */
  constructor(options: NodeOptions<U, S, P, R>) {
    this.schema = options.schema;
    const inputs = [{ name: "0", from: options.input, lookback: options.lookback }];
    this.declaration = declare("node", options, {
      form: "single",
      inputs,
      // oxlint-disable-next-line typescript/unbound-method -- code identity refuses `this`
      run: options.compute,
    });
  }
}

/** How a node over several inputs is declared. */
export interface JoinOptions<T extends Schemas, S extends Schema, P extends Params, R>
  extends CommonOptions<S, P> {
  /** Inputs by name, or as a list. */
  readonly inputs: Inputs<T>;
  /** Bars it may read of each input: one number for all, or one per name or position. */
  readonly lookback?: number | { readonly [K in keyof NoInfer<T>]?: number };
  /** When an input has no bar in the interval that closes: `skip` (default), `last` or `fail`. */
  readonly onMissing?: OnMissing;
  /** A pure function of its windows and params; returning nothing emits nothing. */
  compute(windows: Windows<T>, params: P, context: Context): R & CheckResult<NoInfer<R>, S>;
}

/** A node over several inputs, of any keys and intervals, joined by close time. */
export class Join<
  T extends Schemas,
  const S extends Schema,
  P extends Params = Record<never, never>,
  R = unknown,
> implements Upstream<S>
{
  readonly schema: S;
  readonly declaration: NodeDeclaration;

  /** @throws QmtlError SCHEMA_INVALID, INTERVAL_INVALID, ARGUMENT_INVALID or GRAPH_INVALID. */
  constructor(options: JoinOptions<T, S, P, R>) {
    this.schema = options.schema;
    const form = Array.isArray(options.inputs) ? "list" : "record";
    const entries = Object.entries<Upstream>(options.inputs);
    const ordered = form === "list" ? entries : entries.toSorted(([a], [b]) => (a < b ? -1 : 1));
    const inputs = ordered.map(([name, from]) => ({
      name,
      from,
      lookback: lookbackOf(options.lookback, name),
    }));
    // oxlint-disable-next-line typescript/unbound-method -- code identity refuses `this`
    this.declaration = declare("join", options, { form, inputs, run: options.compute });
  }
}

/** How an incremental node is declared. */
export interface OperatorOptions<U extends Schema, S extends Schema, P extends Params>
  extends CommonOptions<S, P> {
  readonly input: Upstream<U>;
  readonly lookback?: number;
  /** Float64s of state a key, owned and checkpointed by the runtime; NaN before the first call. */
  readonly state?: number;
  /** O(1) a record: writes all fields of `out` (reused) and returns true to emit. */
  step(window: Window<U>, params: P, state: Float64Array, out: MutableRow<S>): boolean;
}

/** The O(1) form of a node: state instead of a pass over the window. */
export class Operator<
  U extends Schema,
  const S extends Schema,
  P extends Params = Record<never, never>,
> implements Upstream<S>
{
  readonly schema: S;
  readonly declaration: NodeDeclaration;

  /** @throws QmtlError SCHEMA_INVALID, INTERVAL_INVALID, ARGUMENT_INVALID or GRAPH_INVALID. */
  constructor(options: OperatorOptions<U, S, P>) {
    this.schema = options.schema;
    const inputs = [{ name: "0", from: options.input, lookback: options.lookback }];
    this.declaration = {
      // oxlint-disable-next-line typescript/unbound-method -- code identity refuses `this`
      ...declare("operator", options, { form: "single", inputs, run: options.step }),
      stateFloats: options.state ?? 0,
    };
  }
}

interface Declared {
  readonly form: NodeDeclaration["form"];
  readonly inputs: readonly {
    readonly name: string;
    readonly from: Upstream;
    readonly lookback: number | undefined;
  }[];
  readonly run: UserFunction;
}

function declare(
  kind: NodeDeclaration["kind"],
  options: CommonOptions<Schema, Params> & { readonly onMissing?: OnMissing },
  declared: Declared,
): NodeDeclaration {
  const label = `${kind} "${options.name ?? "unnamed"}"`;
  checkSchema(options.schema, label);
  checkName(options.name, label);
  if (typeof declared.run !== "function") {
    throw new QmtlError(
      "GRAPH_INVALID",
      `Cannot make ${label}: it has no function, wanted compute or step`,
    );
  }
  return {
    kind,
    name: options.name,
    tags: checkTags(options.tags, label),
    schema: options.schema,
    publish: options.publish ?? false,
    form: declared.form,
    inputs: declared.inputs.map(({ name, from, lookback }) => ({
      name,
      from: declarationOf(from, label, name),
      lookback: checkLookback(lookback, label),
    })),
    interval: options.interval === undefined ? undefined : Interval.of(options.interval).name,
    params: checkParams(options.params, label),
    onMissing: options.onMissing ?? "skip",
    run: declared.run,
    stateFloats: 0,
  };
}

function declarationOf(
  from: Upstream | undefined,
  label: string,
  name: string,
): Upstream["declaration"] {
  if (from?.declaration !== undefined) return from.declaration;
  throw new QmtlError(
    "GRAPH_INVALID",
    `Cannot make ${label}: input "${name}" is ${from === undefined ? "missing" : "not a node"}, wanted a stream or node`,
  );
}

function lookbackOf(
  lookback: number | { readonly [name: string]: number | undefined } | undefined,
  name: string,
): number | undefined {
  return typeof lookback === "object" ? lookback[name] : lookback;
}
