import { type FieldKind } from "../../contract/schema.ts";
import { errorText, hasCode, QmtlError } from "../../core/errors.ts";
import { type GraphNode } from "../../graph/graph.ts";
import { type ColumnStore } from "../../window/column-store.ts";
import { type StoreWindow } from "../../window/window.ts";
import { openWindow } from "../../window/window-class.ts";
import { type NodeProfile } from "../node-profile.ts";
import { type NodeOutput } from "./node-output.ts";

/** What compute gets as its last argument: the key and the close time T; one object, reused. */
export interface CallContext {
  key: string;
  /** ms since epoch: everything closed by this time may be seen. */
  time: number;
}

/** How a task calls user code. */
export interface CallOptions {
  /** True (development): windows and columns are emptied after each call. */
  readonly isPoisoning: boolean;
  /** Key of each slot of the node. */
  readonly keyOf: (slot: number) => string;
  /** Where calls and their times go; undefined: nothing is counted or timed. */
  readonly profile?: NodeProfile | undefined;
}

/** A call's result as the caller sees it: an object by field name, or nothing. */
type Result = Readonly<Record<string, unknown>> | undefined | null;

/**
 * One definition's compute function and what it needs: windows, arguments, state, output.
 *
 *   N1  It is called only when every input has `lookback` records.
 *   N2  A call at T sees what its stores hold: the caller keeps them as of T.
 *   N3  A result is checked before it is emitted: all fields, numbers, finite or NaN, of their kind.
 */
export class NodeCall {
  readonly node: GraphNode;
  readonly output: NodeOutput;
  /** What the function is called with; generated code calls it the same way. */
  readonly windows: readonly StoreWindow[];
  readonly argument: unknown;
  readonly run: (...inputs: unknown[]) => unknown;
  readonly context: CallContext = { key: "", time: 0 };
  readonly out: Record<string, number>;
  readonly fields: readonly string[];
  readonly kinds: readonly FieldKind[];
  readonly options: CallOptions;
  readonly #stores: readonly ColumnStore[];
  readonly #values: Float64Array;
  readonly #states: Float64Array[] = [];

  /** `stores[i]` holds input i; slots of stores and node are the same. */
  constructor(
    node: GraphNode,
    upstreams: readonly { readonly node: GraphNode; readonly store: ColumnStore }[],
    output: NodeOutput,
    options: CallOptions,
  ) {
    this.node = node;
    this.output = output;
    this.options = options;
    this.#stores = upstreams.map(({ store }) => store);
    this.windows = upstreams.map(({ node: from, store }, i) => {
      const input = node.inputs[i]!;
      const label = `input "${input.name}" of "${node.name}"`;
      const { lookback } = input;
      const fields = Object.keys(from.schema);
      return openWindow({ store, fields, lookback, interval: from.interval, label });
    });
    this.argument = this.#argumentOf(node);
    this.fields = Object.keys(node.schema);
    this.kinds = Object.values(node.schema);
    this.#values = new Float64Array(this.fields.length);
    this.out = Object.fromEntries(this.fields.map((field) => [field, Number.NaN]));
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- types were checked in the SDK
    this.run = node.run as unknown as (...inputs: unknown[]) => unknown;
  }

  /** State of operators by slot, for checkpoints; empty for others. */
  get states(): readonly Float64Array[] {
    return this.#states;
  }

  /**
   * Runs the node for the interval that closes at `close`.
   *
   * @throws QmtlError COMPUTE_FAILED naming node, key and time, INPUT_MISSING (`onMissing: fail`).
   */
  fire(slot: number, close: number): void {
    const { profile } = this.options;
    if (profile === undefined) this.#fire(slot, close);
    else this.#fireTimed(slot, close, profile);
  }

  #fireTimed(slot: number, close: number, profile: NodeProfile): void {
    const { index } = this.node;
    const calls = profile.callsOf(index);
    const startedMs = profile.start();
    this.#fire(slot, close);
    if (profile.callsOf(index) > calls) profile.end(index, startedMs);
  }

  #fire(slot: number, close: number): void {
    const { interval } = this.node;
    const open = interval.floor(close - 1);
    if (this.#isInputMissing(slot, open)) return;
    for (const window of this.windows) if (!window.bind(slot)) return;
    this.options.profile?.count(this.node.index);
    const hasValues = this.#call(slot, close);
    if (this.options.isPoisoning) for (const window of this.windows) window.release();
    if (!hasValues) return;
    for (let i = 0; i < this.#values.length; i += 1) {
      const value = this.#values[i]!;
      if (!isOfKind(value, this.kinds[i]!)) {
        this.output.refused += 1;
        return;
      }
      // -0 becomes 0.
      this.#values[i] = value + 0;
    }
    this.output.emit(slot, open, close, this.#values);
  }

  /** True if an awaited input has no bar in the interval that opens at `open` and the call is off. */
  #isInputMissing(slot: number, open: number): boolean {
    const { inputs, onMissing } = this.node;
    if (onMissing === "last") return false;
    for (let i = 0; i < inputs.length; i += 1) {
      if (inputs[i]!.isCoarser || this.#stores[i]!.closes[slot]! > open) continue;
      if (onMissing === "skip") return true;
      const { name } = inputs[i]!;
      const key = this.options.keyOf(slot);
      throw new QmtlError(
        "INPUT_MISSING",
        `Cannot run "${this.node.name}" for ${key} at ${timeText(open)}: input "${name}" has no bar there, wanted one (onMissing: fail)`,
        { node: this.node.name, key, input: name, ts: open },
      );
    }
    return false;
  }

  #call(slot: number, close: number): boolean {
    try {
      if (this.node.kind === "operator") return this.#step(slot);
      this.context.key = this.options.keyOf(slot);
      this.context.time = close;
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- checked field by field below
      const result = this.run(this.argument, this.node.params, this.context) as Result;
      return result === undefined || result === null ? false : this.#take(result);
    } catch (error) {
      throw this.failed(error, slot, close);
    }
  }

  /** Forgets the state of an operator, for all slots. */
  forget(): void {
    for (const state of this.#states) state?.fill(Number.NaN);
  }

  /** State of an operator for `slot`: NaN before its first call. */
  stateOf(slot: number): Float64Array {
    return (this.#states[slot] ??= new Float64Array(this.node.stateFloats).fill(Number.NaN));
  }

  #step(slot: number): boolean {
    const state = this.stateOf(slot);
    for (const field of this.fields) this.out[field] = Number.NaN;
    const isEmitted = this.run(this.windows[0], this.node.params, state, this.out);
    return isEmitted === true && this.#take(this.out);
  }

  #take(result: Readonly<Record<string, unknown>>): boolean {
    for (let i = 0; i < this.fields.length; i += 1) {
      const value = result[this.fields[i]!];
      if (typeof value !== "number") throw this.badResult(result);
      this.#values[i] = value;
    }
    if (Object.keys(result).length !== this.fields.length) throw this.badResult(result);
    return true;
  }

  #argumentOf(node: GraphNode): unknown {
    if (node.form === "single") return this.windows[0];
    if (node.form === "list") return this.windows;
    return Object.fromEntries(node.inputs.map((input, i) => [input.name, this.windows[i]]));
  }

  /** The error of a call that threw, naming node, key and time. */
  failed(error: unknown, slot: number, close: number): QmtlError {
    const key = this.options.keyOf(slot);
    const { name } = this.node;
    const at = timeText(close);
    const code = hasCode(
      error,
      "LOOKBACK_EXCEEDED",
      "FIELD_UNKNOWN",
      "OUTPUT_INVALID",
      "INPUT_MISSING",
    )
      ? error.code
      : "COMPUTE_FAILED";
    const message = `Cannot compute "${name}" for ${key} at ${at}: ${errorText(error)}`;
    return new QmtlError(code, message, { node: name, key, time: close }, error);
  }

  /** What is wrong with a result that has not exactly the schema's fields as numbers. */
  badResult(result: Readonly<Record<string, unknown>>): QmtlError {
    const bad = this.fields.find((field) => typeof result[field] !== "number");
    const extra = Object.keys(result).find((field) => !this.fields.includes(field)) ?? "";
    const fault =
      bad === undefined
        ? `the result has the field "${extra}", wanted only ${this.fields.join(", ")}`
        : `field "${bad}" of the result is ${kindText(result[bad])}, wanted a number`;
    return new QmtlError("OUTPUT_INVALID", fault, { field: bad ?? extra });
  }
}

function kindText(value: unknown): string {
  if (value instanceof Promise) return "a promise";
  return value === undefined ? "none" : typeof value;
}

/** NaN is a value ("none") of every kind; infinities are of none. */
export function isOfKind(value: number, kind: FieldKind): boolean {
  if (Number.isNaN(value)) return true;
  switch (kind) {
    case "f64":
      return Number.isFinite(value);
    case "i64":
      return Number.isSafeInteger(value);
    case "u64":
      return Number.isSafeInteger(value) && value >= 0;
    case "u32":
      return Number.isInteger(value) && value >= 0 && value <= 0xffff_ffff;
    case "bool":
      return value === 0 || value === 1;
  }
}

function timeText(ms: number): string {
  return new Date(ms).toISOString();
}
