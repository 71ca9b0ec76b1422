import { expect, test } from "bun:test";
import { RecordWalk } from "../../../../runtime/codec/kafka/record-walk.ts";

/** Zigzag: 0, −1, 1, −2 are 0, 1, 2, 3; seven bits a byte, the lowest first. */
function zig(value: number): number[] {
  const bytes: number[] = [];
  let rest = value < 0 ? -2 * value - 1 : 2 * value;
  for (; rest > 127; rest >>>= 7) bytes.push((rest & 127) | 128);
  return [...bytes, rest];
}
const bytesOf = (text: string): readonly number[] => [...Buffer.from(text)];

/** A record as Kafka's protocol describes it. */
function record(time: number, offset: number, key: string | null, value: string | null): number[] {
  const field = (text: string | null): number[] =>
    text === null ? zig(-1) : [...zig(text.length), ...bytesOf(text)];
  const body = [0, ...zig(time), ...zig(offset), ...field(key), ...field(value), 0];
  return [...zig(body.length), ...body];
}

function walk(bytes: readonly number[], count: number, lastOffsetDelta = 63): RecordWalk | string {
  const walked = new RecordWalk();
  // Bytes around the range, which are neither read nor part of a record (W1).
  const around = Uint8Array.from([0xff, ...bytes, 0xff]);
  const [from, to] = [1, 1 + bytes.length];
  const fault = walked.walk({
    bytes: around,
    from,
    to,
    count,
    baseOffset: 100,
    lastOffsetDelta,
    baseTimestamp: 5_000,
  });
  return fault ?? walked;
}

function rowsOf(walked: RecordWalk | string, bytes: readonly number[], count: number): unknown {
  if (typeof walked === "string") return walked;
  const text = (at: number, length: number): string | null =>
    length < 0 ? null : Buffer.from(bytes.slice(at - 1, at - 1 + length)).toString();
  return Array.from({ length: count }, (_, i) => [
    walked.offset[i],
    walked.timestampMs[i],
    text(walked.keyAt[i]!, walked.keyLength[i]!),
    text(walked.valueAt[i]!, walked.valueLength[i]!),
  ]);
}

test("offsets and times are relative to the batch, null is not empty, and holes stay holes", () => {
  const bytes = [
    ...record(2, 0, "k", "vw"),
    ...record(-1, 1, null, ""),
    ...record(0, 9, "", null),
    ...record(3, 10, "BTC", "x".repeat(40)),
  ];
  expect(rowsOf(walk(bytes, 4), bytes, 4)).toEqual([
    [100, 5_002, "k", "vw"],
    [101, 4_999, null, ""],
    [109, 5_000, "", null],
    [110, 5_003, "BTC", "x".repeat(40)],
  ]);
});

test("headers are passed over", () => {
  // Key "K", value "V", one header "h1" whose value is null.
  const body = [0, 0, 0, 2, 75, 2, 86, 2, 4, 104, 49, 1];
  const bytes = [2 * body.length, ...body];
  expect(rowsOf(walk(bytes, 1), bytes, 1)).toEqual([[100, 5_000, "K", "V"]]);
});

test("what does not fill the range exactly, or leaves it, is named (W2, W3, W4)", () => {
  const good = record(0, 0, "k", "v");
  const next = record(0, 1, "k", "v");
  expect(walk([...good, 0], 1)).toBe("trailing_bytes");
  expect(walk(good, 2)).toBe("varint");
  expect(walk(good.slice(0, -1), 1)).toBe("record_length");
  expect(walk([...good, ...good], 2)).toBe("record_offset");
  expect(walk([...good, ...next], 2, 0)).toBe("record_offset");
  const changed = (at: number, byte: number): readonly number[] =>
    good.map((old, i) => (i === at ? byte : old));
  expect(walk(changed(4, 100), 1)).toBe("key_length");
  expect(walk(changed(6, 100), 1)).toBe("value_length");
  // One header that is not there, and a byte between the headers and the record's end.
  expect(walk(changed(8, 2), 1)).toBe("varint");
  expect(walk([good[0]! + 2, ...good.slice(1), 0], 1)).toBe("headers");
});

test("a batch of more records than any before makes room for them (W5)", () => {
  const count = 1_100;
  const bytes = Array.from({ length: count }, (_, i) => record(i, i, "k", "v")).flat();
  const rows = rowsOf(walk(bytes, count, count), bytes, count) as unknown[];
  expect(rows).toHaveLength(count);
  expect(rows.at(-1)).toEqual([1_199, 6_099, "k", "v"]);
});
