import { defineCommand } from "citty";
import { loadConnectors } from "../../../contract/connector.ts";
import { type Exchange } from "../../../contract/exchange.ts";
import { type HistoryStore, type Series, type TimeRange } from "../../../contract/history-store.ts";
import { QmtlError } from "../../../core/errors.ts";
import { Interval } from "../../../core/interval.ts";
import { type FillResult, fillMissing } from "../../../engine/backfill.ts";
import { chooseExchange } from "../../../engine/backtest/exchange-choice.ts";
import { barsIn } from "../../../engine/coverage.ts";
import { type RunSettings, resolveSettings } from "../../../engine/settings.ts";
import { runGuarded } from "../../guard.ts";
import { hullOf, isExchangeBars, rangeArgs, rangeOf, selectSeries, seriesArgs } from "./select.ts";
import { printArgs, withStore } from "./store.ts";

/** What a repair of one series came to. */
interface Repair {
  readonly series: Series;
  readonly result: FillResult;
}

/** `qmtl history repair`: fetches bars that are missing between the first and the last. */
export const repairCommand = defineCommand({
  meta: { name: "repair", description: "Fetch missing bars of the exchange's series" },
  args: {
    ...printArgs,
    ...seriesArgs,
    ...rangeArgs,
    exchange: {
      type: "string",
      description: "auto | binance | simulated:SEED | recorded:DIR",
    },
  },
  run: async ({ args }) => {
    await runGuarded(async (signal) => {
      const { symbol, node } = args;
      const settings = resolveSettings(
        { interval: args.interval, exchange: args.exchange },
        process.env,
      );
      const range = rangeOf(args);
      const flags = { symbol, interval: settings.interval, node };
      // Read first: a writer would make a store where there is none.
      const all = await withStore(args, "read", signal, async (store) => {
        const selected = await selectSeries(store, flags, signal);
        return selected.filter(isExchangeBars);
      });
      if (all.length === 0) {
        throw new QmtlError(
          "ARGUMENT_INVALID",
          "Cannot repair: none of the nodes is a stream of the exchange's bars, wanted one",
        );
      }
      const symbols = [...new Set(all.map(({ key }) => key))];
      const { exchange, serverTimeMs } = await openExchange(settings, symbols, signal);
      try {
        checkKind(exchange, args.simulated === true);
        await withStore(args, "write", signal, async (store) => {
          const repairs: Repair[] = [];
          for (const series of all) {
            const asked = await rangeToFill(store, series, { ...range, serverTimeMs }, signal);
            const result = await fillMissing({ store, exchange, series, range: asked }, signal);
            repairs.push({ series, result });
            if (args.json !== true) console.log(textOf({ series, result }));
          }
          if (args.json === true) console.log(JSON.stringify(repairs.map(jsonOf), null, 2));
        });
      } finally {
        await exchange.close();
      }
    });
  },
});

async function openExchange(
  settings: RunSettings,
  symbols: readonly string[],
  signal: AbortSignal,
): Promise<{ readonly exchange: Exchange; readonly serverTimeMs: number }> {
  const chosen = await chooseExchange(
    await loadConnectors(),
    { settings, symbols, onNotice: tell },
    signal,
  );
  if (chosen.kind === "open") return chosen;
  // Generated bars never stand in for the real ones here.
  throw chosen.error;
}

function tell(line: string): void {
  console.error(line);
}

/** @throws QmtlError ARGUMENT_INVALID if generated bars would enter a real store, or the reverse. */
function checkKind(exchange: Exchange, isSimulated: boolean): void {
  if (exchange.isSimulated === isSimulated) return;
  throw new QmtlError(
    "ARGUMENT_INVALID",
    isSimulated
      ? `Cannot repair simulated bars: found the exchange ${exchange.name}, wanted --exchange simulated:SEED, as the run had it`
      : `Cannot repair: the exchange is ${exchange.name}, wanted --simulated beside it`,
  );
}

/** From the first bar to the last, or as asked; no bar that is not closed. */
async function rangeToFill(
  store: HistoryStore,
  series: Series,
  asked: Partial<TimeRange> & { readonly serverTimeMs: number },
  signal: AbortSignal,
): Promise<TimeRange> {
  const { have } = await store.coverage(series, signal);
  const hull = hullOf(have) ?? { start: 0, end: 0 };
  const closedEnd = Interval.of(series.interval).floor(asked.serverTimeMs);
  const { start = hull.start, end = hull.end } = asked;
  return { start, end: Math.max(start, Math.min(end, closedEnd)) };
}

function textOf({ series, result }: Repair): string {
  const interval = Interval.of(series.interval);
  const bars = (ranges: readonly TimeRange[]): string => `${barsIn(ranges, interval)} bars`;
  const { rowsFetched, requests, holes, missing } = result;
  const label = `${series.key} ${series.interval}`;
  if (requests === 0) return `${label}: nothing was missing`;
  return `${label}: ${rowsFetched} bars fetched, ${bars(holes)} confirmed empty, ${bars(missing)} still missing`;
}

function jsonOf({ series, result }: Repair): object {
  const { nodeId, key, interval } = series;
  const { rowsFetched: fetched, requests, holes: empty, missing } = result;
  return { nodeId, key, interval, fetched, requests, empty, missing };
}
