import { expect, test } from "bun:test";
import { unpack } from "msgpackr";
import { WireLayout } from "../../../../runtime/codec/wire/wire-layout.ts";
import {
  compileWireWrite,
  genericWireWrite,
  wireWriteError,
} from "../../../../runtime/codec/wire/wire-writer.ts";
import { encode, every, ts } from "./wire-rows.ts";

test("a written value is the bytes that the format says, and msgpackr reads it", () => {
  const bytes = encode(every, [1.5, -2, 2 ** 52, 7, 1]);
  expect(Buffer.from(bytes).toString("hex")).toBe(
    "96" +
      "cf0000018bcfe56800" +
      "cb3ff8000000000000" +
      "d3fffffffffffffffe" +
      "cf0010000000000000" +
      "ce00000007" +
      "c3",
  );
  expect(unpack(bytes)).toEqual([BigInt(ts), 1.5, -2n, 2n ** 52n, 7, true]);
});

test("a writer refuses what a kind cannot hold, and says which field", () => {
  const refused: readonly (readonly [number, readonly number[], number?])[] = [
    [1, [Infinity, 0, 0, 0, 0]],
    [1, [-Infinity, 0, 0, 0, 0]],
    [2, [0, 0.5, 0, 0, 0]],
    [2, [0, 2 ** 54, 0, 0, 0]],
    [3, [0, 0, -1, 0, 0]],
    [4, [0, 0, 0, 2 ** 32, 0]],
    [5, [0, 0, 0, 0, 2]],
    [0, [0, 0, 0, 0, 0], Number.NaN],
    [0, [0, 0, 0, 0, 0], -1],
    [0, [0, 0, 0, 0, 0], 8.65e15],
  ];
  const layout = WireLayout.of(every);
  for (const write of [compileWireWrite(layout), genericWireWrite(layout)]) {
    for (const [field, row, time = ts] of refused) {
      const view = new DataView(new ArrayBuffer(64));
      const columns = row.map((value) => Float64Array.of(value));
      expect(write(view, 0, time, columns, 0)).toBe(-1 - field);
    }
  }
  expect(wireWriteError(layout, -2, Infinity).message).toContain('"a": found Infinity');
});
