import { defineCommand } from "citty";
import { type HistoryStore, type Series, type TimeRange } from "../../../contract/history-store.ts";
import { Interval } from "../../../core/interval.ts";
import { barsIn, intersectRanges, missingIn } from "../../../engine/coverage.ts";
import { resolveSettings } from "../../../engine/settings.ts";
import { newTable, right, timeText } from "../../../engine/terminal/table.ts";
import { runGuarded } from "../../guard.ts";
import { hullOf, type SeriesFlags, selectSeries, seriesArgs } from "./select.ts";
import { iso, printArgs, type StoreFlags, withStore } from "./store.ts";

/** Ranges of one series, by what is known of them. */
type RangesByKind = Readonly<Record<string, readonly TimeRange[]>>;

/** `qmtl history list`: what is stored, a line a node. */
export const listCommand = defineCommand({
  meta: { name: "list", description: "What the store holds, by node" },
  args: printArgs,
  run: async ({ args }) => {
    await runGuarded(async (signal) => {
      await withStore(args, "read", signal, async (store) => {
        const rows = await Promise.all(
          (await store.list(signal)).map(async (series) => ({
            nodeId: series.nodeId,
            ...(series.name === undefined ? {} : { name: series.name }),
            key: series.key,
            interval: series.interval,
            fields: Object.keys(series.schema),
            ...(await store.coverage(series, signal)),
          })),
        );
        if (args.json === true) {
          console.log(JSON.stringify(rows, null, 2));
          return;
        }
        // A node's own rows may be fewer: it can be silent at a bar that it has seen.
        const table = newTable([
          "node",
          "name",
          "key",
          "interval",
          "bars covered",
          "from",
          "to",
          "gaps",
        ]);
        for (const { nodeId, name = "", key, interval, have, empty } of rows) {
          const bars = right(barsIn(have, Interval.of(interval)).toLocaleString("en"));
          const [first, last] = [have[0]?.start, have.at(-1)?.end].map((ms) =>
            ms === undefined ? "" : timeText(ms),
          );
          const gaps = right(empty.length.toLocaleString("en"));
          table.push([nodeId, name, key, interval, bars, first, last, gaps]);
        }
        console.log(table.toString());
      });
    });
  },
});

/** `qmtl history coverage`: per series, what is had and what is confirmed empty. */
export const coverageCommand = defineCommand({
  meta: { name: "coverage", description: "Ranges that are had and confirmed empty, by node" },
  args: { ...printArgs, ...seriesArgs },
  run: async ({ args }) => {
    await runGuarded(async (signal) => {
      await printRanges(args, signal, async (store, series) => {
        const { have, empty } = await store.coverage(series, signal);
        return { have, empty };
      });
    });
  },
});

/** `qmtl history gaps`: per series, holes between the first bar and the last. */
export const gapsCommand = defineCommand({
  meta: { name: "gaps", description: "Holes between the first bar and the last, by node" },
  args: { ...printArgs, ...seriesArgs },
  run: async ({ args }) => {
    await runGuarded(async (signal) => {
      await printRanges(args, signal, async (store, series) => {
        const coverage = await store.coverage(series, signal);
        const hull = hullOf(coverage.have);
        if (hull === undefined) return { empty: [], missing: [] };
        const empty = intersectRanges(coverage.empty, [hull]);
        return { empty, missing: missingIn(coverage, hull) };
      });
    });
  },
});

/** A line a range: `have 2025-01-01T00:00:00.000Z 2025-01-02T00:00:00.000Z 1440 bars`. */
async function printRanges(
  flags: StoreFlags & SeriesFlags & { readonly json?: boolean | undefined },
  signal: AbortSignal,
  rangesOf: (store: HistoryStore, series: Series) => Promise<RangesByKind>,
): Promise<void> {
  const { interval } = resolveSettings({ interval: flags.interval }, process.env);
  const { symbol, node } = flags;
  await withStore(flags, "read", signal, async (store) => {
    const found = [];
    for (const series of await selectSeries(store, { symbol, interval, node }, signal)) {
      found.push({ series, ranges: await rangesOf(store, series) });
    }
    if (flags.json === true) {
      const rows = found.map(({ series, ranges }) => {
        const { nodeId, name, key, interval: length } = series;
        return {
          nodeId,
          ...(name === undefined ? {} : { name }),
          key,
          interval: length,
          ...ranges,
        };
      });
      console.log(JSON.stringify(rows, null, 2));
      return;
    }
    for (const { series, ranges } of found) console.log(textOf(series, ranges));
    if (found.length === 0) console.log("The store holds nothing yet");
  });
}

function textOf({ nodeId, name, key, interval }: Series, ranges: RangesByKind): string {
  const length = Interval.of(interval);
  const lines = Object.entries(ranges).flatMap(([kind, list]) =>
    list.map((range) => {
      const label = (kind === "empty" ? "confirmed empty" : kind).padEnd("confirmed empty".length);
      const bars = barsIn([range], length);
      return `  ${label}  ${iso(range.start)}  ${iso(range.end)}  ${bars} ${bars === 1 ? "bar" : "bars"}`;
    }),
  );
  const head = [key, interval, name, nodeId].filter((part) => part !== undefined).join("  ");
  return [head, ...(lines.length === 0 ? ["  none"] : lines)].join("\n");
}
