import { defineCommand } from "citty";
import { type ColumnBatch } from "../../../contract/columns.ts";
import { type HistoryStore, type Series, type TimeRange } from "../../../contract/history-store.ts";
import { kline } from "../../../contract/kline.ts";
import { type FieldKind, isSameSchema } from "../../../contract/schema.ts";
import { QmtlError } from "../../../core/errors.ts";
import { resolveSettings } from "../../../engine/settings.ts";
import { runGuarded } from "../../guard.ts";
import { isExchangeBars, pickSeries, rangeArgs, rangeOf, seriesArgs } from "./select.ts";
import { storeArgs, withStore } from "./store.ts";

/** Fields of a row by name, the time first. */
type Fields = readonly (readonly [name: string, kind: FieldKind])[];

/** `qmtl history export`: rows of one node, `[start, end)` by open time, on standard output. */
export const exportCommand = defineCommand({
  meta: { name: "export", description: "Rows of one node on standard output" },
  args: {
    ...storeArgs,
    ...seriesArgs,
    ...rangeArgs,
    format: { type: "string", default: "csv", description: "csv or json" },
  },
  run: async ({ args }) => {
    await runGuarded(async (signal) => {
      const { format, symbol, node } = args;
      if (format !== "csv" && format !== "json") {
        throw new QmtlError(
          "ARGUMENT_INVALID",
          `Cannot export: found --format "${format}", wanted csv or json`,
        );
      }
      const { interval } = resolveSettings({ interval: args.interval }, process.env);
      const range = { start: 0, end: 8.64e15, ...rangeOf(args) };
      await withStore(args, "read", signal, async (store) => {
        const series = pickSeries(await store.list(signal), { symbol, interval, node });
        const write = format === "csv" ? writeCsv : writeJson;
        await write(store, series, range, signal);
      });
    });
  },
});

/** The exchange names a stream's time, the store a node's. */
function fieldsOf(series: Series): Fields {
  const isStream = isExchangeBars(series) || isSameSchema(series.schema, kline);
  return [[isStream ? "openTime" : "ts", "u64"], ...Object.entries(series.schema)];
}

async function writeCsv(
  store: HistoryStore,
  series: Series,
  range: TimeRange,
  signal: AbortSignal,
): Promise<void> {
  const fields = fieldsOf(series);
  console.log(fields.map(([name]) => name).join(","));
  for await (const batch of store.fetch(series, range, signal)) {
    const lines = rowsOf(batch, fields).map((values) =>
      values.map((value, i) => csvCell(value, fields[i]?.[1])).join(","),
    );
    if (lines.length > 0) console.log(lines.join("\n"));
  }
}

/** One array of objects, a row a line. */
async function writeJson(
  store: HistoryStore,
  series: Series,
  range: TimeRange,
  signal: AbortSignal,
): Promise<void> {
  const fields = fieldsOf(series);
  const names = fields.map(([name]) => JSON.stringify(name));
  console.log("[");
  let before = "";
  for await (const batch of store.fetch(series, range, signal)) {
    const lines = rowsOf(batch, fields).map(
      (values) =>
        `{${values.map((value, i) => `${names[i] ?? ""}:${jsonCell(value, fields[i]?.[1])}`).join(",")}}`,
    );
    if (lines.length === 0) continue;
    console.log(before + lines.join(",\n"));
    before = ",";
  }
  console.log("]");
}

function rowsOf(batch: ColumnBatch, fields: Fields): readonly (readonly number[])[] {
  const columns = [batch.ts, ...batch.columns];
  return Array.from({ length: batch.count }, (_, row) =>
    fields.map((_field, i) => columns[i]?.[row] ?? Number.NaN),
  );
}

/** NaN, no value, is empty; integers are written as such, floats in their shortest exact form. */
function csvCell(value: number, kind: FieldKind | undefined): string {
  return Number.isNaN(value) ? "" : numberText(value, kind);
}

/** JSON has no infinity, but a number beyond the largest float is read as one. */
function jsonCell(value: number, kind: FieldKind | undefined): string {
  if (Number.isNaN(value)) return "null";
  if (!Number.isFinite(value)) return value > 0 ? "1e999" : "-1e999";
  return numberText(value, kind);
}

function numberText(value: number, kind: FieldKind | undefined): string {
  if (Object.is(value, -0)) return "-0";
  return kind === "f64" ? String(value) : value.toFixed(0);
}
