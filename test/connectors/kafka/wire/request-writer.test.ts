import { expect, test } from "bun:test";
import { RequestWriter } from "../../../../connectors/kafka/wire/request-writer.ts";

const api = { name: "Sample", key: 3, version: 9 };

test("a request is its length, the header and the fields, big-endian", () => {
  const writer = new RequestWriter();
  writer.begin(api, 7, "me");
  writer.int8(-1);
  writer.int64(-2);
  writer.string("é");
  writer.string(undefined);
  writer.bytes(Uint8Array.of(8, 9));
  writer.raw(Uint8Array.of(5));
  expect(Buffer.from(writer.finish()).toString("hex")).toBe(
    // length 34, key 3, version 9, correlation id 7, client id of two bytes
    ["00000022", "0003", "0009", "00000007", "0002", "6d65"].join("") +
      // −1, −2, a text of two bytes, no text, two bytes after their length, one byte alone
      ["ff", "fffffffffffffffe", "0002", "c3a9", "ffff", "00000002", "0809", "05"].join(""),
  );
});

test("the next request begins anew, and one that is longer than any before has room", () => {
  const writer = new RequestWriter();
  writer.begin(api, 1, "me");
  writer.bytes(new Uint8Array(100_000).fill(1));
  expect(writer.finish()).toHaveLength(4 + 12 + 4 + 100_000);
  writer.begin(api, 2, "me");
  const bytes = writer.finish();
  expect(new DataView(bytes.buffer).getInt32(0)).toBe(bytes.length - 4);
  expect(bytes).toHaveLength(16);
});
