import { expect, test } from "bun:test";
import { escapeIlp, IlpSeries } from "../../../../runtime/codec/ilp/ilp-series.ts";

const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString("latin1");

test("what all lines share is the table and the symbols, a field's lead tells its kind", () => {
  const series = IlpSeries.of(
    {
      nodeId: "1f",
      definitionId: "2e",
      key: "BTC USDT",
      interval: "1m",
      schema: { close: "f64", trades: "u32" },
    },
    "bars.spot",
  );
  expect(textOf(series.prefix)).toBe(
    String.raw`bars.spot,node_id=1f,definition_id=2e,key=BTC\ USDT,interval=1m seq=`,
  );
  // A binary double is announced by "=" and its type, 16.
  expect(series.fields.map(({ lead }) => textOf(lead))).toEqual([",close==\u0010", ",trades="]);
});

test("escapeIlp() marks what would end a symbol's value", () => {
  expect(escapeIlp("a b,c=d\\e")).toBe(String.raw`a\ b\,c\=d\\e`);
  expect(escapeIlp("line\nend")).toBe("line\\\nend");
  expect(escapeIlp("Ünï|🚀")).toBe("Ünï|🚀");
});
