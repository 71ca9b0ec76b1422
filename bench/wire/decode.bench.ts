/**
 * Cost of a wire value turned into numbers.
 * Measures: MessagePack arrays of 9 fields, every tag checked, all fields written to columns.
 * Does not measure: finding the values (walk), windows. The baselines make an array or object each.
 */
import { Unpackr } from "msgpackr";
import { ValueDecoder } from "../../runtime/codec/wire/value-decoder.ts";
import { compileWireRead } from "../../runtime/codec/wire/wire-reader.ts";
import { type MicroSuite } from "../harness.ts";
import { readingOf } from "../limits.ts";
import { closeColumn, makeMarket, sumOfCloses } from "../market.ts";
import { layout, valuesOf } from "./wire-input.ts";

const { byteLength } = layout;
const stride = 1;

/** Values read into columns. */
export const decode: MicroSuite = {
  name: "decode",
  rows: 12_800,
  open(wanted) {
    const market = makeMarket(wanted);
    const rows = market.batch.count;
    const digest = sumOfCloses(market);
    const bytes = valuesOf(market.batch);
    const view = new DataView(bytes.buffer);
    const target = new Float64Array(layout.fields.length * stride);
    const at = (closeColumn + 1) * stride;
    const read = compileWireRead(layout);
    const fast = (): number => {
      let sum = 0;
      for (let i = 0; i < rows; i += 1) {
        if (read(view, bytes, i * byteLength, byteLength, target, 0, stride)) sum += target[at]!;
      }
      return sum;
    };
    const decoder = new ValueDecoder(layout);
    const slow = (): number => {
      let sum = 0;
      for (let i = 0; i < rows; i += 1) {
        if (decoder.decode(bytes, i * byteLength, byteLength) === undefined)
          sum += decoder.values[at]!;
      }
      return sum;
    };
    const buffers = Array.from({ length: rows }, (_, i) =>
      Buffer.from(bytes.buffer, i * byteLength, byteLength),
    );
    const unpackr = new Unpackr({ int64AsType: "number", useRecords: false });
    const unpack = (): number => {
      let sum = 0;
      for (const value of buffers) sum += (unpackr.unpack(value) as readonly number[])[at]!;
      return sum;
    };
    const texts = buffers.map((value) => Buffer.from(JSON.stringify(unpackr.unpack(value))));
    const parse = (): number => {
      let sum = 0;
      for (const text of texts) sum += (JSON.parse(text.toString()) as readonly number[])[at]!;
      return sum;
    };
    return {
      cases: [
        { name: "decode", role: "ours", rows, digest, run: fast },
        { name: "decode, any other form", role: "ours", rows, digest, run: slow },
        { name: "msgpackr", role: "baseline", rows, digest, run: unpack },
        { name: "JSON.parse", role: "baseline", rows, digest, run: parse },
        readingOf(bytes, rows),
      ],
    };
  },
};
