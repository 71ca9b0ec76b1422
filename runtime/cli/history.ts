import { defineCommand } from "citty";
import Table from "cli-table3";
import { loadConnectors, openByRef } from "../contract/connector.ts";
import {
  type HistoryStore,
  type OpenHistoryStore,
  type Series,
  type TimeRange,
} from "../contract/history-store.ts";
import { QmtlError } from "../core/errors.ts";
import { Interval } from "../core/interval.ts";
import { barsIn } from "../engine/coverage.ts";
import { historyDefault, resolveSettings } from "../engine/settings.ts";
import { runGuarded } from "./guard.ts";

const storeArgs = {
  history: { type: "string", description: "sqlite:PATH or questdb://HOST:PORT" },
  simulated: { type: "boolean", description: "The store of simulated bars" },
} as const;

const seriesArgs = {
  ...storeArgs,
  symbol: { type: "string", description: "Key, BTCUSDT" },
  interval: { type: "string", description: "Bar length, 1m" },
  node: { type: "string", description: "Node ID, in place of symbol and interval" },
  start: { type: "string", description: "First open time: ISO, epoch s or ms" },
  end: { type: "string", description: "End of open times, exclusive" },
} as const;

const list = defineCommand({
  meta: { name: "list", description: "What the store holds, by node" },
  args: { ...storeArgs, json: { type: "boolean", description: "As JSON" } },
  run: async ({ args }) => {
    await runGuarded(async (signal) => {
      await withStore(args, signal, async (store) => {
        const rows = await Promise.all(
          (await store.list(signal)).map(async (series) => ({
            nodeId: series.nodeId,
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
        const table = new Table({
          head: ["node", "key", "interval", "bars", "from", "to", "gaps"],
          style: { head: [], border: [], compact: true },
        });
        for (const { nodeId, key, interval, have, empty } of rows) {
          const bars = barsIn(have, Interval.of(interval));
          const [first, last] = [have[0]?.start, have.at(-1)?.end];
          table.push([nodeId, key, interval, bars, iso(first), iso(last), empty.length]);
        }
        console.log(table.toString());
      });
    });
  },
});

const exportRows = defineCommand({
  meta: { name: "export", description: "Rows of one node as CSV on standard output" },
  args: seriesArgs,
  run: async ({ args }) => {
    await runGuarded(async (signal) => {
      const {
        start = 0,
        end = 8.64e15,
        interval,
      } = resolveSettings(
        { start: args.start, end: args.end, history: args.history, interval: args.interval },
        process.env,
      );
      await withStore(args, signal, async (store) => {
        const series = pick(await store.list(signal), { ...args, interval });
        // A stream's rows as the exchange names them, a node's as the store does.
        const time = args.node === undefined ? "openTime" : "ts";
        await writeCsv(store, { series, time }, { start, end }, signal);
      });
    });
  },
});

/** `qmtl history list|export`: what is stored, and its rows. */
export const historyCommand = defineCommand({
  meta: { name: "history", description: "Look into the history store" },
  subCommands: { list, export: exportRows },
});

async function withStore(
  args: { readonly history?: string | undefined; readonly simulated?: boolean | undefined },
  signal: AbortSignal,
  use: (store: HistoryStore) => Promise<void>,
): Promise<void> {
  const { history = historyDefault } = resolveSettings({ history: args.history }, process.env);
  const ref = (await loadConnectors()).refOf("history", history);
  const open = await openByRef<OpenHistoryStore>(ref);
  const options = { mode: "read", isSimulated: args.simulated === true } as const;
  const store = await open(ref.url, options, signal);
  try {
    await use(store);
  } finally {
    await store.close();
  }
}

/** The one series that `args` names; of a symbol and interval, the exchange's own bars come first. */
function pick(
  all: readonly Series[],
  args: {
    readonly node?: string | undefined;
    readonly symbol?: string | undefined;
    readonly interval?: string | undefined;
  },
): Series {
  const wanted = all.filter(
    (series) =>
      (args.node === undefined || series.nodeId === args.node) &&
      (args.symbol === undefined || series.key === args.symbol) &&
      (args.interval === undefined || series.interval === args.interval),
  );
  const bars = wanted.filter(({ schema }) => "takerBuyQuote" in schema);
  const [series] = wanted.length === 1 ? wanted : bars.length === 1 ? bars : [];
  if (series !== undefined) return series;
  throw new QmtlError(
    "ARGUMENT_INVALID",
    `Cannot export: ${wanted.length} nodes match, wanted one (--symbol and --interval, or --node ID; "qmtl history list" shows them)`,
  );
}

async function writeCsv(
  store: HistoryStore,
  { series, time }: { readonly series: Series; readonly time: string },
  range: TimeRange,
  signal: AbortSignal,
): Promise<void> {
  const fields = Object.entries(series.schema);
  console.log([time, ...fields.map(([name]) => name)].join(","));
  for await (const batch of store.fetch(series, range, signal)) {
    const lines: string[] = [];
    for (let row = 0; row < batch.count; row += 1) {
      const cells = fields.map(([, kind], i) => cellOf(batch.columns[i]?.[row], kind));
      lines.push([String(batch.ts[row]), ...cells].join(","));
    }
    console.log(lines.join("\n"));
  }
}

/** NaN prints empty; integers as such; f64 in its shortest exact form. */
function cellOf(value: number | undefined, kind: string): string {
  if (value === undefined || Number.isNaN(value)) return "";
  return kind === "f64" ? String(value) : value.toFixed(0);
}

function iso(ms: number | undefined): string {
  return ms === undefined ? "–" : new Date(ms).toISOString();
}
