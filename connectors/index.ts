/** URL scheme → module: which connector serves which port. Loaded by its public name. */
import {
  type ConnectorIndex,
  type ConnectorRef,
  type Exchange,
  type ExchangeChoice,
  hasCode,
  QmtlError,
} from "../runtime/index.ts";

type Port = "history" | "state" | "transport";

/** Weight limit of an exchange that runs in this process for itself: none that is felt. */
const ownWeightPerMinute = 10_000_000;

const doorOf = { history: "openHistory", state: "openState", transport: "openTransport" } as const;

/** Folder of each scheme and the ports it serves. */
const schemes: Readonly<
  Record<string, { readonly folder: string; readonly ports: readonly Port[] }>
> = {
  memory: { folder: "memory", ports: ["history", "state", "transport"] },
  questdb: { folder: "questdb", ports: ["history"] },
  questdbs: { folder: "questdb", ports: ["history"] },
  sqlite: { folder: "sqlite", ports: ["history", "state"] },
  kafka: { folder: "kafka", ports: ["transport"] },
  redis: { folder: "redis", ports: ["state"] },
  rediss: { folder: "redis", ports: ["state"] },
};

function refOf(port: Port, url: string): ConnectorRef {
  const scheme = url.split(":")[0] ?? "";
  const found = schemes[scheme];
  if (found?.ports.includes(port) === true && url.includes(":")) {
    const module = new URL(`./${found.folder}/index.ts`, import.meta.url).href;
    return { module, export: doorOf[port], url };
  }
  const serving = Object.keys(schemes).filter((name) => schemes[name]?.ports.includes(port));
  throw new QmtlError(
    "CONFIG_INVALID",
    `Cannot open the ${port} "${url}": found the scheme "${scheme}", wanted one of ${serving.join(", ")}`,
    { url, port },
  );
}

async function openExchange(
  choice: ExchangeChoice,
  options: { readonly url?: string; readonly onNotice?: (line: string) => void },
  signal: AbortSignal,
): Promise<Exchange> {
  const notice = options.onNotice === undefined ? {} : { onNotice: options.onNotice };
  // Loaded when one is asked: a live run asks none.
  const { openExchange: openBinance } = await import("./binance/index.ts");
  if (choice.kind === "binance") {
    return openBinance({
      ...notice,
      ...(options.url === undefined ? {} : { baseUrl: options.url }),
    });
  }
  signal.throwIfAborted();
  const { startExchangeSimulator } = await import("./simulated/index.ts");
  const simulator = await startExchangeSimulator({
    source:
      choice.kind === "recorded"
        ? { kind: "recorded", directory: choice.dir }
        : { kind: "generated", seed: choice.seed },
    weightPerMinute: ownWeightPerMinute,
  });
  const exchange = openBinance({
    ...notice,
    baseUrl: simulator.url,
    name: choice.kind,
    isSimulated: choice.kind === "simulated",
  });
  return withCleanup(exchange, async () => {
    await simulator.close();
  });
}

/** `exchange`, of which `close` also ends what serves it. */
function withCleanup(exchange: Exchange, cleanup: () => Promise<void>): Exchange {
  return {
    name: exchange.name,
    isSimulated: exchange.isSimulated,
    serverTime: async (signal) => await exchange.serverTime(signal),
    checkSymbols: async (symbols, signal) => await exchange.checkSymbols(symbols, signal),
    klines: async (request, signal) => await exchange.klines(request, signal),
    estimate: (bars) => exchange.estimate(bars),
    async close() {
      await exchange.close();
      await cleanup();
    },
  };
}

/**
 * True if `error` says that the exchange cannot be used from here: no address, no connection, no
 * TLS, no byte for `silenceMsMax`, or a refusal of the location or address (403, 451). The error's
 * message says which. False for everything an exchange that is there may answer.
 */
function isUnreachable(error: unknown): boolean {
  return hasCode(error, "EXCHANGE_UNREACHABLE", "EXCHANGE_RESTRICTED");
}

/** What the runner and the commands load by the name `qmtl/connectors`. */
export const connectors: ConnectorIndex = { refOf, openExchange, isUnreachable };
