import { expect, test } from "bun:test";
import { Packr, Unpackr } from "msgpackr";
import { ValueDecoder } from "../../../runtime/codec/wire/value-decoder.ts";
import { WireLayout } from "../../../runtime/codec/wire/wire-layout.ts";
import { compileWireRead, genericWireRead } from "../../../runtime/codec/wire/wire-reader.ts";
import { compileWireWrite } from "../../../runtime/codec/wire/wire-writer.ts";
import { kline } from "../../../runtime/contract/kline.ts";
import { type FieldKind, type Schema } from "../../../runtime/contract/schema.ts";
import { Chance, fuzzCases, fuzzSeed, guardBytes, guarded } from "./chance.ts";

const wide: Schema = Object.fromEntries(
  Array.from({ length: 20 }, (_, i) => [
    `f${i}`,
    (["f64", "i64", "u64", "u32", "bool"] as const)[i % 5]!,
  ]),
);
const codecs = [
  { x: "f64" },
  { a: "f64", b: "i64", c: "u64", d: "u32", e: "bool" },
  kline,
  wide,
].map((schema) => {
  const layout = WireLayout.of(schema as Schema);
  return {
    layout,
    read: compileWireRead(layout),
    generic: genericWireRead(layout),
    write: compileWireWrite(layout),
    decoder: new ValueDecoder(layout),
  };
});
type Codec = (typeof codecs)[number];

const packer = new Packr({ useRecords: false, variableMapSize: true, mapsAsObjects: false });
const unpacker = new Unpackr({
  useRecords: false,
  mapsAsObjects: false,
  moreTypes: false,
  int64AsType: "bigint",
});

function numberFor(kind: FieldKind, chance: Chance): number {
  if (chance.below(12) === 0) return Number.NaN;
  switch (kind) {
    case "f64":
      return chance.pick([0, -0, 1.5, -1e300, 5e-324, 123.456, -7, 2 ** 53, chance.below(1e9) / 7]);
    case "i64":
      return chance.pick([0, -1, 127, -128, -(2 ** 31), 2 ** 40, -(2 ** 53), 2 ** 53]);
    case "u64":
      return chance.pick([0, 255, 2 ** 32 - 1, 2 ** 32, 1_700_000_000_000, 2 ** 53 - 1, 2 ** 53]);
    case "u32":
      return chance.pick([0, 1, 65_536, 2 ** 32 - 1]);
    case "bool":
      return chance.below(2);
  }
}

const times = [0, 1, 1_700_000_000_000, 8.64e15] as const;

/** A row in the fixed form. */
function fixedValue({ layout, write }: Codec, chance: Chance): Uint8Array {
  const columns = layout.fields
    .slice(1)
    .map(({ kind }) => Float64Array.of(numberFor(kind, chance)));
  const bytes = new Uint8Array(layout.lengthOf(columns, 0));
  expect(write(new DataView(bytes.buffer), 0, chance.pick(times), columns, 0)).toBe(bytes.length);
  return bytes;
}

/** A row in any other form: array or map, numbers as the packer likes them, more keys, oddities. */
function otherValue({ layout }: Codec, chance: Chance): Uint8Array {
  const odd = [null, true, "text", [1, [2]], new Map([["k", 1]]), 2n ** 60n, -5n, Buffer.from("b")];
  const item = (kind: FieldKind): unknown => {
    const value = numberFor(kind, chance);
    if (chance.below(40) === 0) return chance.pick(odd);
    if (Number.isNaN(value)) return chance.below(2) === 0 ? null : value;
    if (kind === "bool") return chance.below(2) === 0 ? value === 1 : value;
    return Math.abs(value) <= 2 ** 53 && Number.isInteger(value) && chance.below(3) === 0
      ? BigInt(value)
      : value;
  };
  const row = layout.fields.map(({ name, kind }, i) =>
    i === 0 ? ([name, chance.pick(times)] as const) : ([name, item(kind)] as const),
  );
  if (chance.below(2) === 0) return packer.pack(row.map(([, value]) => value));
  const kept = row.filter((_, i) => i === 0 || chance.below(5) > 0);
  const more = chance.below(2) === 0 ? [["extra", chance.pick(odd)] as const] : [];
  return packer.pack(new Map<unknown, unknown>([...more, ...kept, [7, 1]]));
}

/** The row as msgpackr and the rules of DESIGN §6 have it; undefined if it is refused. */
function wantedRow({ layout }: Codec, decoded: unknown): readonly number[] | undefined {
  if (!Array.isArray(decoded) && !(decoded instanceof Map)) return undefined;
  if (Array.isArray(decoded) && decoded.length !== layout.fields.length) return undefined;
  const row = layout.fields.map(({ name, kind }, i) =>
    wantedNumber(Array.isArray(decoded) ? decoded[i] : decoded.get(name), kind),
  );
  const [ts] = row;
  if (ts === undefined || !(ts <= 8.64e15)) return undefined;
  return row.every((value) => value !== undefined) ? row : undefined;
}

function wantedNumber(item: unknown, kind: FieldKind): number | undefined {
  if (item === null || item === undefined) return Number.NaN;
  if (typeof item === "boolean") return kind === "bool" ? Number(item) : undefined;
  if (typeof item === "bigint") {
    const isSafe = item <= 2n ** 53n && item >= -(2n ** 53n);
    return isSafe ? wantedOf(Number(item), kind) : undefined;
  }
  return typeof item === "number" ? wantedOf(item, kind) : undefined;
}

const rangeOf = {
  i64: [-(2 ** 53), 2 ** 53],
  u64: [0, 2 ** 53],
  u32: [0, 2 ** 32 - 1],
  bool: [0, 1],
} as const;

function wantedOf(value: number, kind: FieldKind): number | undefined {
  if (Number.isNaN(value)) return value;
  if (!Number.isFinite(value)) return undefined;
  if (kind === "f64") return value + 0;
  const [min, max] = rangeOf[kind];
  return Number.isInteger(value) && value >= min && value <= max ? value + 0 : undefined;
}

/** The slow path's row or fault with guards of `filler`; the fast readers have to agree with it. */
function outcome(codec: Codec, bytes: Uint8Array, filler: number): readonly number[] | string {
  const all = guarded(bytes, filler);
  const view = new DataView(all.buffer);
  const { layout, decoder } = codec;
  const fault = decoder.decode(all, guardBytes, bytes.length);
  const row = [...decoder.values];
  const [fast, generic] = [codec.read, codec.generic].map((read) => {
    const target = new Float64Array(layout.fields.length);
    return read(view, all, guardBytes, bytes.length, target, 0, 1) ? [...target] : undefined;
  });
  if (!Bun.deepEquals(fast, generic)) expect(fast).toEqual(generic);
  if (fast !== undefined && !Bun.deepEquals(fault ?? row, fast)) expect(fault ?? row).toEqual(fast);
  return fault ?? row;
}

/** What msgpackr makes of all of `bytes`; a symbol if it cannot say. */
function unpackTheirs(bytes: Uint8Array): unknown {
  try {
    return unpacker.unpack(bytes) as unknown;
  } catch (error) {
    return /extension|ext/i.test(String(error)) ? unsure : refused;
  }
}

const unsure = Symbol("unsure");
const refused = Symbol("refused");

/** Tags of extensions, and the one that is never used: msgpackr makes values of its own of them. */
function hasExtension(bytes: Uint8Array): boolean {
  return bytes.some(
    (byte) => byte === 0xc1 || (byte >= 0xc7 && byte <= 0xc9) || (byte >= 0xd4 && byte <= 0xd8),
  );
}

/** A value of one of three sorts: as it was made, damaged, or noise. */
function anyValue(codec: Codec, chance: Chance): Uint8Array {
  const sound = chance.below(2) === 0 ? fixedValue(codec, chance) : otherValue(codec, chance);
  const sort = chance.below(30);
  if (sort < 10) return Uint8Array.from(sound);
  return sort === 29 ? chance.bytes(chance.below(100)) : chance.damage(sound);
}

/** True if a key comes twice: we check both values, msgpackr shows only the last. */
function hasTwins(bytes: Uint8Array, decoded: unknown): boolean {
  if (!(decoded instanceof Map)) return false;
  const tag = bytes[0]!;
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const count = tag < 0x90 ? tag & 15 : tag === 0xde ? view.getUint16(1) : view.getUint32(1);
  return decoded.size !== count;
}

/** True if msgpackr can judge the bytes: not JSON, and nothing it gives a meaning of its own. */
function isJudged(bytes: Uint8Array, decoded: unknown): boolean {
  const first = bytes[0] ?? 0;
  const isJson = first === 0x7b || first === 0x5b || (first >= 9 && first <= 32);
  return !isJson && decoded !== unsure && !hasExtension(bytes) && !hasTwins(bytes, decoded);
}

// Goal: fast path = slow path = an independent decoder under our rules, on any bytes; what lies
// around a value changes nothing. Method: rows in fixed and other forms, sound and damaged.
test(`wire values: ${fuzzCases} sound, damaged and hostile ones (QMTL_SEED=${fuzzSeed})`, () => {
  const chance = new Chance(fuzzSeed);
  let accepted = 0;
  for (let i = 0; i < fuzzCases; i += 1) {
    const codec = chance.pick(codecs);
    const bytes = anyValue(codec, chance);
    const one = outcome(codec, bytes, 0);
    const other = outcome(codec, bytes, 0xff);
    if (!Bun.deepEquals(one, other)) expect(one).toEqual(other);
    const found = typeof one === "string" ? undefined : one;
    if (found !== undefined) accepted += 1;
    const decoded = unpackTheirs(bytes);
    if (!isJudged(bytes, decoded)) continue;
    const wanted = wantedRow(codec, decoded);
    if (!Bun.deepEquals(found, wanted)) {
      const hex = Buffer.from(bytes).toString("hex");
      expect({ i, hex, found: one }).toEqual({ i, hex, found: [...(wanted ?? [])] });
    }
  }
  expect(accepted).toBeGreaterThan(fuzzCases / 5);
}, 3_600_000);
