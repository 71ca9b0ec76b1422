import { type FieldKind } from "../../contract/schema.ts";
import { QmtlError } from "../../core/errors.ts";
import { runGenerated } from "../../core/generated.ts";
import { timeMsMax, type WireField, type WireLayout } from "./wire-layout.ts";
import { headerOf } from "./wire-reader.ts";

/**
 * Writes row `index` of `columns`, at time `ts`, as a wire value at `at`; returns its end. The
 * caller has `layout.lengthOf(columns, index)` bytes of room.
 *
 * −1 − i if the value of field i (0 is `ts`) is not accepted: infinite, not an integer or out of
 * the kind's range, NaN as `ts`. Then the bytes hold anything; `wireWriteError` says it in words.
 */
// oxlint-disable-next-line eslint/max-params -- called per record: an object of these is too dear
export type WireWrite = (
  view: DataView,
  at: number,
  ts: number,
  columns: readonly Float64Array[],
  index: number,
) => number;

/** The writer of one layout, generated. */
export function compileWireWrite(layout: WireLayout): WireWrite {
  const { fields } = layout;
  const header = headerOf(layout);
  const lines = [
    ...header.map((byte, i) => `view.setUint8(at + ${i}, ${byte});`),
    `let p = at + ${header.length};`,
    ...fields.map((field, i) => writeStatement(field.kind, i)),
  ];
  const text = `"use strict"; return function writeWire(view, at, ts, columns, index) {
  ${lines.join("\n  ")}
  return p;
};`;
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what the text returns
  return runGenerated(text) as WireWrite;
}

/** The writer of one layout as a plain loop: the oracle of the generated one. */
export function genericWireWrite(layout: WireLayout): WireWrite {
  const { fields } = layout;
  const header = headerOf(layout);
  // oxlint-disable-next-line eslint/max-params -- the signature of the hot path
  return (view, at, ts, columns, index) => {
    for (let i = 0; i < header.length; i += 1) view.setUint8(at + i, header[i]!);
    let put = at + header.length;
    for (let i = 0; i < fields.length; i += 1) {
      const value = i === 0 ? ts : columns[i - 1]![index]!;
      if (!isAccepted(value, fields[i]!, i)) return -1 - i;
      put = writeField(view, put, value, fields[i]!);
    }
    return put;
  };
}

/** What was wrong with the row, from the writer's negative answer. */
export function wireWriteError(layout: WireLayout, result: number, value: number): QmtlError {
  const { name, kind } = layout.fields[-1 - result]!;
  return new QmtlError(
    "OUTPUT_INVALID",
    `Cannot encode the field "${name}": found ${value}, wanted a value of kind ${kind}`,
    { field: name, kind, value },
  );
}

/** Smallest and largest integer of each kind. */
const rangeOf: Readonly<Record<FieldKind, readonly [number, number]>> = {
  f64: [-Number.MAX_VALUE, Number.MAX_VALUE],
  i64: [-(2 ** 53), 2 ** 53],
  u64: [0, 2 ** 53],
  u32: [0, 2 ** 32 - 1],
  bool: [0, 1],
};

const timeRange = [0, timeMsMax] as const;

function isAccepted(value: number, { kind }: WireField, i: number): boolean {
  if (value !== value) return i > 0;
  const [min, max] = i === 0 ? timeRange : rangeOf[kind];
  return value >= min && value <= max && (kind === "f64" || Number.isInteger(value));
}

// oxlint-disable-next-line eslint/max-params -- one field where it goes
function writeField(view: DataView, at: number, value: number, field: WireField): number {
  const { kind, tag } = field;
  if (kind !== "f64" && value !== value) {
    view.setUint8(at, 0xc0);
    return at + 1;
  }
  view.setUint8(at, kind === "bool" ? tag + value : tag);
  switch (kind) {
    case "bool":
      return at + 1;
    case "f64":
      view.setFloat64(at + 1, value + 0);
      return at + 9;
    case "u32":
      view.setUint32(at + 1, value);
      return at + 5;
    case "i64":
    case "u64":
      view.setInt32(at + 1, Math.floor(value / 4_294_967_296));
      view.setUint32(at + 5, value >>> 0);
      return at + 9;
  }
}

/** Checks and writes field `i` at `p` and moves `p` on. */
function writeStatement(kind: FieldKind, i: number): string {
  const value = i === 0 ? "const v0 = ts;" : `const v${i} = columns[${i - 1}][index];`;
  const v = `v${i}`;
  const refuse = `return ${-1 - i};`;
  if (kind === "f64") {
    return `${value} if (${v} === Infinity || ${v} === -Infinity) ${refuse} view.setUint8(p, 0xcb); view.setFloat64(p + 1, ${v} + 0); p += 9;`;
  }
  const [min, max] = i === 0 ? timeRange : rangeOf[kind];
  const whole = `if (!(${v} >= ${min} && ${v} <= ${max} && Math.floor(${v}) === ${v})) ${refuse} ${putWhole(kind, v)}`;
  return i === 0
    ? `${value} ${whole}`
    : `${value} if (${v} !== ${v}) { view.setUint8(p, 0xc0); p += 1; } else { ${whole} }`;
}

function putWhole(kind: Exclude<FieldKind, "f64">, v: string): string {
  switch (kind) {
    case "bool":
      return `view.setUint8(p, 0xc2 + ${v}); p += 1;`;
    case "u32":
      return `view.setUint8(p, 0xce); view.setUint32(p + 1, ${v}); p += 5;`;
    case "u64":
    case "i64":
      return `view.setUint8(p, ${kind === "u64" ? "0xcf" : "0xd3"}); view.setInt32(p + 1, Math.floor(${v} / 4294967296)); view.setUint32(p + 5, ${v} >>> 0); p += 9;`;
  }
}
