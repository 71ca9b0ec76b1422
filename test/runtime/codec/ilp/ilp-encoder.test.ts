import { expect, test } from "bun:test";
import { type SenderBuffer, SenderBufferV2, SenderOptions } from "@questdb/nodejs-client";
import { IlpEncoder } from "../../../../runtime/codec/ilp/ilp-encoder.ts";
import { IlpSeries } from "../../../../runtime/codec/ilp/ilp-series.ts";
import { type ColumnBatch } from "../../../../runtime/contract/columns.ts";
import { type Series } from "../../../../runtime/contract/history-store.ts";
import { kline } from "../../../../runtime/contract/kline.ts";

const seriesOf = (key: string): Series => ({
  nodeId: "0123456789abcdef0123456789abcdef",
  definitionId: "fedcba9876543210fedcba9876543210",
  key,
  interval: "1m",
  schema: kline,
});

/** `count` bars that begin at `startMs`. */
function bars(count: number, startMs = 1_700_000_000_000): ColumnBatch {
  const column = (of: (i: number) => number): Float64Array =>
    Float64Array.from({ length: count }, (_, i) => of(i));
  return {
    count,
    ts: column((i) => startMs + i * 60_000),
    seq: column((i) => i % 3),
    columns: Object.entries(kline).map(([, kind], field) =>
      column((i) =>
        kind === "f64"
          ? i % 7 === field
            ? Number.NaN
            : Math.sin(i + field) * 10 ** (i % 20)
          : kind === "u32"
            ? i * 12_345
            : startMs + i * 60_000 + 59_999,
      ),
    ),
  };
}

/** The same rows by the official client. */
function encodeTheirs(series: Series, batch: ColumnBatch, unit: "us" | "ns"): Buffer {
  const options = new SenderOptions("http::addr=127.0.0.1:9000;protocol_version=2");
  const buffer: SenderBuffer = new SenderBufferV2(options);
  for (let row = 0; row < batch.count; row += 1) {
    buffer
      .table("bars")
      .symbol("node_id", series.nodeId)
      .symbol("definition_id", series.definitionId)
      .symbol("key", series.key)
      .symbol("interval", series.interval)
      .intColumn("seq", batch.seq[row]!);
    for (const [i, [name, kind]] of Object.entries(series.schema).entries()) {
      const value = batch.columns[i]![row]!;
      if (Number.isNaN(value)) continue;
      if (kind === "f64") buffer.floatColumn(name, value);
      else buffer.intColumn(name, value);
    }
    if (unit === "us") buffer.at(batch.ts[row]! * 1_000, "us");
    else buffer.at(BigInt(batch.ts[row]!) * 1_000_000n, "ns");
  }
  return buffer.toBufferView();
}

test("append() writes the bytes that the official client writes, in both time units", () => {
  const keys = ["BTCUSDT", "A|B", "a b,c=d\\e", "x\ny\rz", 'quote"', "Ünïcode€😀"];
  for (const timeUnit of ["us", "ns"] as const) {
    const encoder = new IlpEncoder({ bytesMax: 1 << 20, timeUnit });
    for (const key of keys) {
      const series = seriesOf(key);
      const batch = bars(100);
      expect(encoder.append(IlpSeries.of(series, "bars"), batch)).toBe(100);
      const theirs = encodeTheirs(series, batch, timeUnit);
      expect(Buffer.from(encoder.written()).equals(theirs)).toBe(true);
      expect(encoder.rows).toBe(100);
      encoder.reset();
    }
  }
});

test("append() writes the first instant as the official client does", () => {
  const encoder = new IlpEncoder({ bytesMax: 4_096, timeUnit: "us" });
  const series = seriesOf("K");
  encoder.append(IlpSeries.of(series, "bars"), bars(2, 0));
  expect(Buffer.from(encoder.written()).equals(encodeTheirs(series, bars(2, 0), "us"))).toBe(true);
});

test("append() stops at a whole line before bytesMax and goes on after reset() (I3)", () => {
  const encoder = new IlpEncoder({ bytesMax: 4_096, timeUnit: "us" });
  const series = seriesOf("BTCUSDT");
  const batch = bars(100);
  const parts: Uint8Array[] = [];
  for (let row = 0; row < batch.count; ) {
    const next = encoder.append(IlpSeries.of(series, "bars"), batch, row);
    expect(next).toBeGreaterThan(row);
    expect(encoder.length).toBeLessThanOrEqual(4_096);
    parts.push(Uint8Array.from(encoder.written()));
    encoder.reset();
    row = next;
  }
  expect(parts.length).toBeGreaterThan(5);
  expect(Buffer.concat(parts).equals(encodeTheirs(series, batch, "us"))).toBe(true);
});

test("append() leaves out what has no value and writes a bool as an integer (I1, I2)", () => {
  const encoder = new IlpEncoder({ bytesMax: 4_096, timeUnit: "us" });
  const series = { ...seriesOf("K"), schema: { up: "bool", x: "f64", n: "i64" } } as const;
  const nothing = Float64Array.of(Number.NaN);
  const row = { count: 1, ts: Float64Array.of(7), seq: Float64Array.of(0) };
  const prepared = IlpSeries.of(series, "t");
  encoder.append(prepared, { ...row, columns: [nothing, nothing, nothing] });
  encoder.append(prepared, { ...row, columns: [Float64Array.of(1), nothing, Float64Array.of(-5)] });
  const lines = Buffer.from(encoder.written()).toString().split("\n");
  expect(lines.map((line) => line.slice(line.indexOf(" ")))).toEqual([
    " seq=0i 7000t",
    " seq=0i,up=1i,n=-5i 7000t",
    "",
  ]);
});

test("append() refuses numbers that a column cannot hold and keeps the rows before", () => {
  const encoder = new IlpEncoder({ bytesMax: 4_096, timeUnit: "us" });
  const series = IlpSeries.of({ ...seriesOf("K"), schema: { x: "f64", n: "u32" } }, "t");
  const batch = (x: number, n: number, ts = 1): ColumnBatch => ({
    count: 2,
    ts: Float64Array.of(1, ts),
    seq: Float64Array.of(0, 0),
    columns: [Float64Array.of(1, x), Float64Array.of(1, n)],
  });
  expect(() => encoder.append(series, batch(Infinity, 1))).toThrow('"x": found Infinity');
  expect(() => encoder.append(series, batch(1, 0.5))).toThrow('"n": found 0.5');
  expect(() => encoder.append(series, batch(1, 2 ** 54))).toThrow('"n"');
  expect(() => encoder.append(series, batch(1, 1, Number.NaN))).toThrow('"ts": found NaN');
  expect(encoder.rows).toBe(4);
  expect(Buffer.from(encoder.written()).toString().split("\n").length).toBe(5);
});

test("a table name or a size that cannot be is refused", () => {
  for (const table of ["", "a b", "a,b", ".a", "a..b", "x".repeat(128)]) {
    expect(() => IlpSeries.of(seriesOf("K"), table)).toThrow("Cannot write to the table");
  }
  expect(() => new IlpEncoder({ bytesMax: 1, timeUnit: "us" })).toThrow("bytesMax");
  const encoder = new IlpEncoder({ bytesMax: 4_096, timeUnit: "us" });
  const long = IlpSeries.of(seriesOf("k".repeat(4_000)), "t");
  expect(() => encoder.append(long, bars(1))).toThrow("Cannot encode a row");
});
