import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { DataRows, type PgKind } from "../../../../connectors/questdb/server/pg-rows.ts";
import { newColumnBatch } from "../../../../runtime/index.ts";

const widthOf = { int8: 8, float8: 8, int4: 4 } as const;

/** One `DataRow` as the protocol's documentation lays it out. */
function dataRow(kinds: readonly PgKind[], values: readonly number[]): Buffer {
  const parts = kinds.map((kind, i) => {
    const value = values[i]!;
    if (Number.isNaN(value)) return Buffer.from([255, 255, 255, 255]);
    const part = Buffer.alloc(4 + widthOf[kind]);
    part.writeInt32BE(widthOf[kind]);
    if (kind === "int8") part.writeBigInt64BE(BigInt(value), 4);
    else if (kind === "int4") part.writeInt32BE(value, 4);
    else part.writeDoubleBE(value, 4);
    return part;
  });
  const body = Buffer.concat(parts);
  const head = Buffer.alloc(7);
  head.write("D");
  head.writeInt32BE(6 + body.length, 1);
  head.writeInt16BE(kinds.length, 5);
  return Buffer.concat([head, body]);
}

// Goal: the reader is right for every row and every cut of the bytes. Method: an encoder written
// from the protocol's documentation, values by kind with NULLs, pieces of any length.
test("take() reads what was sent, however the bytes are cut", () => {
  const kinds: readonly PgKind[] = ["int8", "int8", "float8", "int4"];
  const orNull = (value: fc.Arbitrary<number>): fc.Arbitrary<number> =>
    fc.oneof({ weight: 5, arbitrary: value }, fc.constant(Number.NaN));
  const row = fc.tuple(
    fc.maxSafeInteger(),
    fc.maxSafeNat(),
    orNull(fc.double({ noNaN: true })),
    orNull(fc.integer()),
  );
  const property = fc.property(fc.array(row), fc.integer({ min: 1, max: 200 }), (rows, step) => {
    const bytes = Buffer.concat(rows.map((values) => dataRow(kinds, values)));
    const target = newColumnBatch(rows.length, 2);
    const reader = new DataRows(kinds, target);
    let at = 0;
    for (let end = 0; at < bytes.length; end = Math.min(bytes.length, end + step)) {
      const view = new DataView(bytes.buffer, bytes.byteOffset, end);
      for (let next = -1; at + 5 <= end && next !== at; ) {
        next = at;
        at = reader.take(view, at);
      }
    }
    expect(reader.count).toBe(rows.length);
    const columns = [target.ts, target.seq, ...target.columns].map((column) => [...column]);
    expect(columns).toEqual(kinds.map((_, i) => rows.map((values) => values[i]!)));
  });
  fc.assert(property);
});

test("take() refuses more rows than asked for, and a value of another width", () => {
  const kinds: readonly PgKind[] = ["int8", "int8"];
  const one = dataRow(kinds, [1, 2]);
  const two = Buffer.concat([one, one]);
  const reader = new DataRows(kinds, newColumnBatch(1, 0));
  const viewOf = (bytes: Buffer): DataView =>
    new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  expect(() => reader.take(viewOf(two), 0)).toThrow("More than 1 rows");
  const narrow = dataRow(["int4", "int8"], [1, 2]);
  expect(() => reader.take(viewOf(narrow), 0)).toThrow("4 bytes came, wanted 8");
});
