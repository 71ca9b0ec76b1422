/**
 * Cost of a row as a line of QuestDB's ingestion protocol.
 * Measures: 4 symbols, 9 fields and a time to a line with binary doubles, 1,000 lines a buffer.
 * Does not measure: HTTP, the server. The baseline writes the same bytes.
 */
import { type SenderBuffer, SenderBufferV2, SenderOptions } from "@questdb/nodejs-client";
import { IlpEncoder } from "../../runtime/codec/ilp/ilp-encoder.ts";
import { IlpSeries } from "../../runtime/codec/ilp/ilp-series.ts";
import { type ColumnBatch, type Series, sliceColumns } from "../../runtime/index.ts";
import { type MicroSuite } from "../harness.ts";
import { copyingOf } from "../limits.ts";
import { bars, makeMarket } from "../market.ts";

const table = "bars";
const bufferRows = 1_000;
const series: Series = {
  nodeId: "0123456789abcdef0123456789abcdef",
  definitionId: "fedcba9876543210fedcba9876543210",
  key: "BTCUSDT",
  interval: "1m",
  schema: bars,
};

/** Columns to lines. */
export const ilp: MicroSuite = {
  name: "ilp",
  rows: 6_400,
  open(wanted) {
    const { batch } = makeMarket(wanted);
    const rows = batch.count;
    const parts = Array.from({ length: Math.ceil(rows / bufferRows) }, (_, i) =>
      sliceColumns(batch, i * bufferRows, Math.min(rows, (i + 1) * bufferRows)),
    );
    const prefix = IlpSeries.of(series, table);
    const encoder = new IlpEncoder({ bytesMax: 1 << 20, timeUnit: "us" });
    const ours = (): number => {
      let digest = 0;
      for (const part of parts) {
        encoder.reset();
        encoder.append(prefix, part);
        digest = digestOf(digest, encoder.written());
      }
      return digest;
    };
    const buffer: SenderBuffer = new SenderBufferV2(
      new SenderOptions("http::addr=127.0.0.1:9000;protocol_version=2"),
    );
    const theirs = (): number => {
      let digest = 0;
      for (const part of parts) {
        buffer.reset();
        appendTheirs(buffer, part);
        digest = digestOf(digest, buffer.toBufferView());
      }
      return digest;
    };
    const written = parts.map((part) => {
      encoder.reset();
      encoder.append(prefix, part);
      return encoder.written().slice();
    });
    const digest = theirs();
    return {
      cases: [
        { name: "ilp", role: "ours", rows, digest, run: ours },
        { name: "@questdb/nodejs-client", role: "baseline", rows, digest, run: theirs },
        copyingOf(Buffer.concat(written), rows),
      ],
    };
  },
};

/** Of length and some bytes: the same for the same lines. */
function digestOf(digest: number, lines: Uint8Array): number {
  return (digest + lines.length * 31 + lines[lines.length >> 1]! * 7 + lines.at(-5)!) % 1e9;
}

function appendTheirs(buffer: SenderBuffer, batch: ColumnBatch): void {
  const fields = Object.entries(bars);
  for (let row = 0; row < batch.count; row += 1) {
    buffer
      .table(table)
      .symbol("node_id", series.nodeId)
      .symbol("definition_id", series.definitionId)
      .symbol("key", series.key)
      .symbol("interval", series.interval)
      .intColumn("seq", 0);
    for (const [i, [name, kind]] of fields.entries()) {
      const value = batch.columns[i]![row]!;
      if (kind === "f64") buffer.floatColumn(name, value);
      else buffer.intColumn(name, value);
    }
    buffer.at(batch.ts[row]! * 1_000, "us");
  }
}
