import { expect, test } from "bun:test";
import { createHash } from "node:crypto";
import * as fc from "fast-check";
import {
  canonical,
  type DefinitionMeaning,
  definitionIdOf,
  digest,
  faultOfParams,
  nodeIdOf,
} from "../../../runtime/graph/ids.ts";

const stream: DefinitionMeaning = {
  kind: "stream",
  source: { exchange: "binance", market: "spot", data: "kline" },
  interval: "1m",
  schema: { open: "f64", close: "f64" },
};

const node: DefinitionMeaning = {
  kind: "node",
  interval: "1m",
  schema: { mean: "f64" },
  code: "0".repeat(32),
  params: { length: 20 },
  onMissing: "skip",
  stateFloats: 0,
  inputs: [{ name: "0", definitionId: "1".repeat(32), lookback: 20 }],
};

test("digest() is the first 32 hex digits of SHA-256 over the versioned text", () => {
  const whole = createHash("sha256").update("qmtl-id-1 abc").digest("hex");
  expect(digest("abc")).toBe(whole.slice(0, 32));
});

test("definitionIdOf() is the digest of the canonical form, fields of the schema in order", () => {
  const form =
    '{"interval":"1m","kind":"stream","schema":[["open","f64"],["close","f64"]],' +
    '"source":{"data":"kline","exchange":"binance","market":"spot"}}';
  expect(definitionIdOf(stream)).toBe(digest(`definition ${form}`));
});

test("definitionIdOf() does not depend on the order in which an object was written", () => {
  const source = { data: "kline", market: "spot", exchange: "binance" };
  expect(definitionIdOf({ ...stream, source })).toBe(definitionIdOf(stream));
  const params = { b: 1, a: { y: 1, x: 2 } };
  const again = { a: { x: 2, y: 1 }, b: 1 };
  expect(definitionIdOf({ ...node, params })).toBe(definitionIdOf({ ...node, params: again }));
});

test("definitionIdOf() changes with each part of the meaning", () => {
  const [input] = node.inputs;
  const others: readonly DefinitionMeaning[] = [
    node,
    { ...node, kind: "join" },
    { ...node, interval: "5m" },
    { ...node, schema: { mean: "f64", std: "f64" } },
    { ...node, schema: { mean: "u64" } },
    { ...node, code: "2".repeat(32) },
    { ...node, params: { length: 21 } },
    { ...node, params: {} },
    { ...node, onMissing: "last" },
    { ...node, stateFloats: 1 },
    { ...node, inputs: [] },
    { ...node, inputs: [{ ...input!, lookback: 21 }] },
    { ...node, inputs: [{ ...input!, name: "btc" }] },
    { ...node, inputs: [{ ...input!, definitionId: "3".repeat(32) }] },
    { ...node, inputs: [input!, input!] },
    stream,
    { ...stream, schema: { close: "f64", open: "f64" } },
    { ...stream, source: { topic: "trades" } },
  ];
  expect(new Set(others.map(definitionIdOf)).size).toBe(others.length);
});

test("nodeIdOf() tells keys and definitions apart, and a node from a definition", () => {
  const a = "a".repeat(32);
  const b = "b".repeat(32);
  const ids = [
    nodeIdOf(a, "BTC"),
    nodeIdOf(a, "ETH"),
    nodeIdOf(b, "BTC"),
    nodeIdOf(a, "BTC|ETH"),
    a,
  ];
  expect(new Set(ids).size).toBe(5);
  expect(nodeIdOf(a, "BTC")).toMatch(/^[0-9a-f]{32}$/);
});

// Goal: canonical() is one text for one value. Method: its text, read back, is the value, and
// writing the keys in the reverse order changes nothing.
test("canonical() is JSON that keeps the value and forgets the order of keys", () => {
  const property = fc.property(fc.jsonValue({ noUnicodeString: false }), (value) => {
    const text = canonical(value);
    expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)));
    expect(canonical(reversed(value))).toBe(text);
  });
  fc.assert(property);
});

test("canonical() leaves out what is undefined and writes numbers in their shortest form", () => {
  expect(canonical({ b: undefined, a: 60.0, c: [1e3, "x"] })).toBe('{"a":60,"c":[1000,"x"]}');
});

function reversed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reversed);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).toReversed();
  return Object.fromEntries(entries.map(([name, inner]) => [name, reversed(inner)]));
}

test("faultOfParams() accepts plain data and nothing else, naming the path", () => {
  expect(faultOfParams({ a: [1, "x", true, null, { b: -1.5 }] })).toBeUndefined();
  expect(faultOfParams(Object.create(null))).toBeUndefined();
  expect(faultOfParams({ a: { b: Number.NaN } })).toBe("params.a.b is NaN");
  expect(faultOfParams({ a: [1, Number.POSITIVE_INFINITY] })).toBe("params.a.1 is Infinity");
  expect(faultOfParams({ a: -0 })).toStartWith("params.a is ");
  expect(faultOfParams({ a: undefined })).toBe("params.a is of type undefined");
  expect(faultOfParams({ a: () => 1 })).toBe("params.a is of type function");
  expect(faultOfParams({ a: 1n })).toBe("params.a is of type bigint");
  expect(faultOfParams({ a: new Map() })).toBe("params.a is not a plain object");
  expect(faultOfParams({ a: new Date(0) })).toBe("params.a is not a plain object");
});
