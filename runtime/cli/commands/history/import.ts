import { readFile } from "node:fs/promises";
import { basename } from "node:path";
import { defineCommand } from "citty";
import { type ColumnBatch, sliceColumns } from "../../../contract/columns.ts";
import { type HistoryPage } from "../../../contract/history-store.ts";
import { systemClock } from "../../../core/clock.ts";
import { errorText, QmtlError } from "../../../core/errors.ts";
import { Interval } from "../../../core/interval.ts";
import { mergeRanges } from "../../../engine/coverage.ts";
import { resolveSettings } from "../../../engine/settings.ts";
import { runGuarded } from "../../guard.ts";
import { parseBars, seriesOfFile } from "./csv.ts";
import { exchangeSeries, seriesArgs } from "./select.ts";
import { iso, printArgs, withStore } from "./store.ts";

/** Rows that are stored as one. */
const pageRowsMax = 65_536;
const symbolPattern = /^[\p{Lu}\p{Lo}\p{N}._-]{1,20}$/u;

/** `qmtl history import FILE.csv`: bars from the exchange's own archive. */
export const importCommand = defineCommand({
  meta: { name: "import", description: "Store bars of a CSV file in the exchange's own columns" },
  args: {
    file: { type: "positional", required: false, description: "FILE.csv" },
    ...printArgs,
    symbol: { ...seriesArgs.symbol, description: "Symbol; default as the file's name says" },
    interval: { ...seriesArgs.interval, description: "Bar length; default likewise" },
  },
  run: async ({ args }) => {
    await runGuarded(async (signal) => {
      const path = args.file;
      if (path === undefined || path === "") throw wanted("the name of a CSV file");
      const named = seriesOfFile(path);
      const symbol = args.symbol ?? named.symbol;
      const spelled = args.interval ?? named.interval;
      const { interval } = resolveSettings({ interval: spelled }, process.env);
      if (symbol === undefined || interval === undefined) {
        throw wanted("--symbol and --interval, or a file named SYMBOL-INTERVAL-….csv");
      }
      if (!symbolPattern.test(symbol)) throw wanted(`a symbol in place of "${symbol}"`);
      const length = Interval.of(interval);
      const source = { name: basename(path), interval: length, nowMs: systemClock.now() };
      // All of it is read and checked before the first row is stored.
      const rows = parseBars(await readText(path), source);
      const series = exchangeSeries(symbol, interval);
      await withStore(args, "write", signal, async (store) => {
        for (const page of pagesOf(rows, length)) await store.persist(series, page, signal);
      });
      const [first, last] = [rows.ts[0], rows.ts[rows.count - 1]];
      console.log(
        args.json === true
          ? JSON.stringify({
              nodeId: series.nodeId,
              symbol,
              interval,
              rows: rows.count,
              first,
              last,
            })
          : `${symbol} ${interval}: ${rows.count} ${rows.count === 1 ? "bar" : "bars"} stored, from ${iso(first)} to ${iso(last)}`,
      );
    });
  },
});

/**
 * What a file says of its range: each row settles the slot it opens in. A slot without a row stays
 * missing and not confirmed empty, for a file cannot tell a bar it lacks from one that never was.
 */
function* pagesOf(rows: ColumnBatch, interval: Interval): Iterable<HistoryPage> {
  for (let from = 0; from < rows.count; from += pageRowsMax) {
    const page = sliceColumns(rows, from, Math.min(rows.count, from + pageRowsMax));
    const slots = Array.from(page.ts, (ts) => ({
      start: interval.floor(ts),
      end: interval.closeOf(ts),
    }));
    yield { rows: page, have: mergeRanges(slots), empty: [] };
  }
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    throw new QmtlError(
      "RECORDED_DATA_INVALID",
      `Cannot import ${path}: ${errorText(cause)}, wanted a readable file`,
      { path },
      cause,
    );
  }
}

function wanted(what: string): QmtlError {
  return new QmtlError("ARGUMENT_INVALID", `Cannot import: wanted ${what}`);
}
