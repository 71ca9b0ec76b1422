import { type FieldKind } from "../../../contract/schema.ts";
import { runGenerated } from "../../../core/generated.ts";
import { type GraphNode } from "../../../graph/graph.ts";
import { type ColumnStore } from "../../../window/column-store.ts";
import { NodeProfile, timedEvery } from "../../node-profile.ts";
import { type ChainedCall } from "../chain.ts";
import { isOfKind } from "../node-call.ts";
import { outputRowsMax } from "../node-output.ts";

/** Runs a stream's nodes for a slot whose newest bar closes at `close`. */
export type ChainStep = (slot: number, close: number) => void;

/** Nodes above which one generated function costs more memory than it saves time. */
const inlineMax = 64;

/** True if generated code covers the node: the stream's own interval all through, not `fail`. */
function isPlain(stream: GraphNode, { call }: ChainedCall): boolean {
  const { interval, onMissing, inputs } = call.node;
  return (
    interval === stream.interval &&
    interval.isFixed &&
    onMissing !== "fail" &&
    inputs.every(({ isCoarser }) => !isCoarser)
  );
}

/** The nodes of a chain as text, and what it names. */
export interface ChainCode {
  readonly values: Readonly<Record<string, unknown>>;
  /** What is kept between records: comes once, outside of the function. */
  readonly outer: string;
  /**
   * What one record does. It reads `k` (slot), `close`, and of the stream's store for this slot `held`
   * (rows), `top` (index after the newest row) and `stamp` (modulo 2³²); it sets `failing` to the
   * call that runs.
   */
  readonly body: string;
  /** What comes before the first record of a slot `k`. */
  readonly head: string;
  readonly nodes: number;
}

/**
 * The step of a chain as text: windows are bound, functions called, results checked and emitted in
 * line, without a loop over nodes, closures or objects per record. It does what `Chain.step` does,
 * which stays as the oracle of it.
 *
 * With a profile, each node counts its calls and every `timedEvery`-th record is timed; without,
 * nothing of it is in the text.
 *
 * `heartbeat[0]` names the node that runs, by its index in the graph; `heartbeat[1]` counts records.
 *
 * @returns undefined if a node needs the generic loop.
 */
export function chainCode(
  stream: GraphNode,
  calls: readonly ChainedCall[],
  heartbeat: Int32Array,
  profile?: NodeProfile,
): ChainCode | undefined {
  if (calls.length > inlineMax || calls.some((call) => !isPlain(stream, call))) return undefined;
  const values: Record<string, unknown> = { heartbeat, isOfKind };
  const blocks = calls.map((call, i) => {
    const block = blockOf(stream, call, i, values);
    return profile === undefined ? block : timedBlock(block, call.call.node.index);
  });
  if (profile !== undefined) {
    values["cells"] = profile.cells;
    values["now"] = (): number => profile.clock();
  }
  const [kept, inner] = profile === undefined ? ["", ""] : timedHead;
  // The IDs keep other nodes' functions out of what the engine learns of this text.
  const outer = `/* ${calls.map(({ call }) => call.node.definitionId).join(" ")} */ ${kept}`;
  const body = `${inner}
heartbeat[1] = (heartbeat[1] + 1) | 0;
const open = close - ${stream.interval.lengthMs};
${blocks.join("\n")}`;
  const head = calls
    .map(({ call }, i) => (call.node.kind === "operator" ? "" : `context${i}.key = keyOf${i}(k);`))
    .join("\n");
  return { values, outer, body, head, nodes: calls.length };
}

/** The code as a function of its own, for a stream whose rows lie in `store`. */
export function compileChain(code: ChainCode, store: ColumnStore): ChainStep {
  const { ends, rows, stamps } = store;
  const text = `"use strict"; ${code.outer} return function chain(k, close) {
const held = rows[k], top = k * ${store.slotSize} + ends[k], stamp = stamps[k] | 0;
let failing;
${code.head}
try {
${code.body}
} catch (error) { throw failing.failed(error, k, close); }
};`;
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- names of fields are checked to be identifiers, all else are numbers
  return runGenerated(text, { ...code.values, ends, rows, stamps }) as ChainStep;
}

/** What a profiled chain keeps between records, and does at the beginning of each. */
const timedHead = [
  `let left = ${timedEvery};`,
  `let calls = 0, started = 0; left -= 1; const isTimed = left === 0; if (isTimed) left = ${timedEvery};`,
] as const;

/** A node's text with its calls counted and, where the record's turn has come, timed. */
function timedBlock(block: string, node: number): string {
  const at = NodeProfile.at(node);
  const counted = block.replace("failing = ", `cells[${at}] += 1; failing = `);
  return `if (isTimed) { calls = cells[${at}]; started = now(); }
${counted}
if (isTimed && cells[${at}] !== calls) { cells[${at + 1}] += 1; cells[${at + 2}] += now() - started; }`;
}

/** The text of one node; what it names is put into `values`. */
function blockOf(
  stream: GraphNode,
  { call, awaited, isHere }: ChainedCall,
  i: number,
  values: Record<string, unknown>,
): string {
  const { node, windows, fields } = call;
  values[`call${i}`] = call;
  values[`run${i}`] = call.run;
  values[`params${i}`] = node.params;
  for (const [q, window] of windows.entries()) values[`w${i}_${q}`] = window;
  for (const [q, { closes }] of awaited.entries()) values[`closes${i}_${q}`] = closes;
  const leave = `break node${i};`;
  const lines = [`node${i}: {`];
  if (isHere.includes(0)) {
    values[`here${i}`] = isHere;
    lines.push(`if (here${i}[k] === 0) ${leave}`);
  }
  // The stream's own newest bar is the one that closes now.
  const isStale = node.inputs.map(({ from }, q) =>
    from === stream.index ? "false" : `closes${i}_${q}[k] !== close`,
  );
  lines.push(`if (${isStale.join(node.onMissing === "last" ? " && " : " || ")}) ${leave}`);
  for (const [q, { from, lookback }] of node.inputs.entries()) {
    lines.push(
      from === stream.index
        ? `if (held < ${lookback}) ${leave} w${i}_${q}.point(k, top, stamp);`
        : `if (!w${i}_${q}.bind(k)) ${leave}`,
    );
  }
  lines.push(`failing = call${i}; heartbeat[0] = ${node.index};`);
  const release = call.options.isPoisoning ? windows.map((_, q) => `w${i}_${q}.release();`) : [];
  const has = node.kind === "operator" ? stepLine(call, i, values) : callLine(call, i, values);
  const isBad = fields.map((_, f) => `typeof r${f} !== "number"`);
  if (node.kind !== "operator") isBad.push(`Object.keys(r).length !== ${fields.length}`);
  lines.push(
    ...has,
    `if (isNothing) { ${release.join(" ")} ${leave} }`,
    ...fields.map((field, f) => `const r${f} = r.${field};`),
    `if (${isBad.join(" || ")}) throw call${i}.badResult(r);`,
    ...release,
    // Adding 0 turns -0 to 0, and shows the engine that it is a number: without, the check is a call.
    ...fields.map((_, f) => `const v${f} = r${f} + 0;`),
  );
  lines.push(
    ...call.kinds.map((kind, f) => kindLine(kind, f, `output${i}.refused += 1; ${leave}`)),
  );
  lines.push(...emitLines(call, i, values));
  return `${lines.join("\n")}\n}`;
}

/** Refuses a value that is not of its kind, as `isOfKind` says. */
function kindLine(kind: FieldKind, f: number, refuse: string): string {
  const isRight =
    kind === "f64" ? `v${f} - v${f} === 0 || v${f} !== v${f}` : `isOfKind(v${f}, "${kind}")`;
  return `if (!(${isRight})) { ${refuse} }`;
}

/** Calls `compute`; its result is `r`. */
function callLine(
  call: ChainedCall["call"],
  i: number,
  values: Record<string, unknown>,
): readonly string[] {
  values[`argument${i}`] = call.argument;
  values[`context${i}`] = call.context;
  values[`keyOf${i}`] = call.options.keyOf;
  return [
    `context${i}.time = close;`,
    `const r = run${i}(argument${i}, params${i}, context${i});`,
    `const isNothing = r === undefined || r === null;`,
  ];
}

/** Calls `step` with the slot's state; its result is `out`. */
function stepLine(
  call: ChainedCall["call"],
  i: number,
  values: Record<string, unknown>,
): readonly string[] {
  const hasState = call.node.stateFloats > 0;
  values[`out${i}`] = call.out;
  values[`states${i}`] = hasState ? call.states : new Float64Array(0);
  const state = hasState ? `states${i}[k] ?? call${i}.stateOf(k)` : `states${i}`;
  const clear = call.fields.map((field) => `r.${field} = NaN;`).join(" ");
  return [
    `const r = out${i}; ${clear}`,
    `const isNothing = run${i}(w${i}_0, params${i}, ${state}, r) !== true;`,
  ];
}

/** Emits as `NodeOutput.emit` does; without readers there is no store to append to. */
function emitLines(
  { node, output, fields }: ChainedCall["call"],
  i: number,
  values: Record<string, unknown>,
): readonly string[] {
  values[`output${i}`] = output;
  const lines = [`output${i}.emitted += 1;`];
  if (node.period > 0) {
    values[`store${i}`] = output.store;
    values[`a${i}`] = output.store.values;
    const writes = fields.map((_, f) => `a${i}[p + ${(f + 1) * output.store.stride}] = v${f};`);
    lines.push(`{ const p = store${i}.append(k); a${i}[p] = open; ${writes.join(" ")}`);
    lines.push(`store${i}.closes[k] = close;`);
    lines.push(`if (output${i}.taps.length > 0) output${i}.tell(k, close, p); }`);
  }
  if (output.hasSink) {
    values[`slots${i}`] = output.slots;
    values[`ts${i}`] = output.ts;
    for (const [f, column] of output.columns.entries()) values[`o${i}_${f}`] = column;
    const writes = fields.map((_, f) => `o${i}_${f}[n] = v${f};`);
    lines.push(
      `{ const n = output${i}.count; slots${i}[n] = k; ts${i}[n] = open; ${writes.join(" ")}`,
    );
    lines.push(`output${i}.count = n + 1; if (n + 1 === ${outputRowsMax}) output${i}.flush(); }`);
  }
  return lines;
}
