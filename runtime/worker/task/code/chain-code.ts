import { runGenerated } from "../../../core/generated.ts";
import { type GraphNode } from "../../../graph/graph.ts";
import { NodeProfile, timedEvery } from "../../node-profile.ts";
import { type ChainedCall } from "../chain.ts";
import { isOfKind } from "../node-call.ts";
import { outputRowsMax } from "../node-output.ts";

/** Runs a stream's nodes for a slot whose newest bar closes at `close`. */
export type ChainStep = (slot: number, close: number) => void;

/** Nodes above which one generated function costs more memory than it saves time. */
const inlineMax = 64;

/** True if generated code covers the node: the stream's own interval all through, `skip`. */
function isPlain(stream: GraphNode, { call }: ChainedCall): boolean {
  const { interval, onMissing, inputs } = call.node;
  return (
    interval === stream.interval &&
    interval.isFixed &&
    onMissing === "skip" &&
    inputs.every(({ isCoarser }) => !isCoarser)
  );
}

/**
 * The step of a chain as one generated function: windows are bound, functions called, results
 * checked and emitted in line, without a loop over nodes, closures or objects per record. It does
 * what `Chain.step` does, which stays as the oracle of it.
 *
 * With a profile, each node counts its calls and every `timedEvery`-th record is timed; without,
 * nothing of it is in the text.
 *
 * `heartbeat[0]` names the node that runs, by its index in the graph; `heartbeat[1]` counts records.
 *
 * @returns undefined if a node needs the generic loop.
 */
export function compileChain(
  stream: GraphNode,
  calls: readonly ChainedCall[],
  heartbeat: Int32Array,
  profile?: NodeProfile,
): ChainStep | undefined {
  if (calls.length > inlineMax || calls.some((call) => !isPlain(stream, call))) return undefined;
  const values: Record<string, unknown> = { heartbeat, isOfKind };
  const blocks = calls.map((call, i) => {
    const block = blockOf(call, i, values);
    return profile === undefined ? block : timedBlock(block, call.call.node.index);
  });
  if (profile !== undefined) {
    values["cells"] = profile.cells;
    values["now"] = (): number => profile.clock();
  }
  const [outer, inner] = profile === undefined ? ["", ""] : timedHead;
  // The IDs keep other nodes' functions out of what the engine learns of this text.
  const ids = calls.map(({ call }) => call.node.definitionId).join(" ");
  const text = `"use strict"; /* ${ids} */ ${outer} return function chain(k, close) {
${inner}
heartbeat[1] = (heartbeat[1] + 1) | 0;
const ts = close - ${stream.interval.lengthMs};
let failing;
try {
${blocks.join("\n")}
} catch (error) { throw failing.failed(error, k, close); }
};`;
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- names of fields are checked to be identifiers, all else are numbers
  return runGenerated(text, values) as ChainStep;
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
  { call, awaited, isHere }: ChainedCall,
  i: number,
  values: Record<string, unknown>,
): string {
  const { node, windows, fields, output } = call;
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
  for (const q of awaited.keys()) lines.push(`if (closes${i}_${q}[k] !== close) ${leave}`);
  for (const q of windows.keys()) lines.push(`if (!w${i}_${q}.bind(k)) ${leave}`);
  lines.push(`failing = call${i}; heartbeat[0] = ${node.index};`);
  lines.push(
    ...(node.kind === "operator" ? stepLines(call, i, values) : callLines(call, i, values)),
  );
  if (call.options.isPoisoning) for (const q of windows.keys()) lines.push(`w${i}_${q}.release();`);
  lines.push(`if (!has) ${leave}`);
  for (const [f, kind] of call.kinds.entries()) {
    const isRight =
      kind === "f64" ? `v${f} - v${f} === 0 || v${f} !== v${f}` : `isOfKind(v${f}, "${kind}")`;
    values[`output${i}`] = output;
    lines.push(`if (!(${isRight})) { output${i}.refused += 1; ${leave} } v${f} += 0;`);
  }
  lines.push(...emitLines(call, i, values));
  return `${lines.join("\n")}\n}`.replaceAll("@fields", fields.map((_, f) => `v${f}`).join(", "));
}

/** Calls `compute` and takes the fields of its result. */
function callLines(
  call: ChainedCall["call"],
  i: number,
  values: Record<string, unknown>,
): readonly string[] {
  values[`argument${i}`] = call.argument;
  values[`context${i}`] = call.context;
  values[`keyOf${i}`] = call.options.keyOf;
  const take = call.fields.map((field, f) => `v${f} = r.${field};`).join(" ");
  const isBad = call.fields.map((_, f) => `typeof v${f} !== "number"`).join(" || ");
  return [
    `let @fields, has = false;`,
    `context${i}.key = keyOf${i}(k); context${i}.time = close;`,
    `const r = run${i}(argument${i}, params${i}, context${i});`,
    `if (r !== undefined && r !== null) {`,
    `${take} has = true;`,
    `if (${isBad} || Object.keys(r).length !== ${call.fields.length}) throw call${i}.badResult(r);`,
    `}`,
  ];
}

/** Calls `step` with the slot's state and takes the fields of `out`. */
function stepLines(
  call: ChainedCall["call"],
  i: number,
  values: Record<string, unknown>,
): readonly string[] {
  values[`out${i}`] = call.out;
  values[`states${i}`] = call.states;
  const clear = call.fields.map((field) => `out${i}.${field} = NaN;`).join(" ");
  const take = call.fields.map((field, f) => `v${f} = out${i}.${field};`).join(" ");
  const isBad = call.fields.map((_, f) => `typeof v${f} !== "number"`).join(" || ");
  return [
    `let @fields; ${clear}`,
    `const has = run${i}(w${i}_0, params${i}, states${i}[k] ?? call${i}.stateOf(k), out${i}) === true;`,
    `if (has) { ${take} if (${isBad}) throw call${i}.badResult(out${i}); }`,
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
    lines.push(`{ const p = store${i}.append(k); a${i}[p] = ts; ${writes.join(" ")}`);
    lines.push(`store${i}.closes[k] = close;`);
    lines.push(`if (output${i}.taps.length > 0) output${i}.tell(k, close, p); }`);
  }
  if (output.hasSink) {
    values[`slots${i}`] = output.slots;
    values[`ts${i}`] = output.ts;
    for (const [f, column] of output.columns.entries()) values[`o${i}_${f}`] = column;
    const writes = fields.map((_, f) => `o${i}_${f}[n] = v${f};`);
    lines.push(
      `{ const n = output${i}.count; slots${i}[n] = k; ts${i}[n] = ts; ${writes.join(" ")}`,
    );
    lines.push(`output${i}.count = n + 1; if (n + 1 === ${outputRowsMax}) output${i}.flush(); }`);
  }
  return lines;
}
