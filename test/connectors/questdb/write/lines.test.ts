import { expect, test } from "bun:test";
import { encodeLines } from "../../../../connectors/questdb/write/lines.ts";

const line = {
  table: "qmtl_coverage",
  symbols: { node_id: "1f", key: "BTC USDT" },
  fields: { kind: 'have "all"', bars: { integer: 5 }, share: { float: 0.25 } },
  timeMs: 1_700_000_000_123,
};

test("a line is table, symbols, fields and a time in µs, each kind in its own form", () => {
  expect(Buffer.from(encodeLines([line, line])).toString()).toBe(
    String.raw`qmtl_coverage,node_id=1f,key=BTC\ USDT kind="have \"all\"",bars=5i,share=0.25 1700000000123000t
`.repeat(2),
  );
});

test("what would end a text or a line is marked", () => {
  const fields = { text: 'a"b\\c\nd' };
  const text = Buffer.from(encodeLines([{ ...line, symbols: {}, fields }])).toString();
  expect(text).toBe('qmtl_coverage text="a\\"b\\\\c\\\nd" 1700000000123000t\n');
});
