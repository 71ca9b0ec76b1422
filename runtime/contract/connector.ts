import { QmtlError } from "../core/errors.ts";
import { importModule } from "../core/import-module.ts";
import { type Exchange } from "./exchange.ts";
import { type OpenHistoryStore } from "./history-store.ts";
import { type OpenStateStore } from "./state-store.ts";
import { type OpenTransport } from "./transport.ts";

/**
 * How a worker thread opens a port by itself: the module that implements it, the name of its door
 * and the URL. Plain data, so it crosses threads.
 */
export interface ConnectorRef {
  /** Absolute module URL or public name. */
  readonly module: string;
  /** Name of the exported door function in it. */
  readonly export: string;
  readonly url: string;
}

/** What a connector folder exports under these names, where it implements the port. */
export interface ConnectorDoors {
  readonly openHistory?: OpenHistoryStore;
  readonly openState?: OpenStateStore;
  readonly openTransport?: OpenTransport;
}

/** Which exchange a run asks; `connectors/` knows how to reach each. */
export type ExchangeChoice =
  | { readonly kind: "binance" }
  | { readonly kind: "simulated"; readonly seed: number }
  | { readonly kind: "recorded"; readonly dir: string };

/** What `connectors/index.ts` offers to the runner, which loads it by its public name. */
export interface ConnectorIndex {
  /** @throws QmtlError CONFIG_INVALID if no connector serves the URL's scheme for this port. */
  refOf(port: "history" | "state" | "transport", url: string): ConnectorRef;
  openExchange(
    choice: ExchangeChoice,
    options: { readonly url?: string; readonly onNotice?: (line: string) => void },
    signal: AbortSignal,
  ): Promise<Exchange>;
  /** True if `error` says that the exchange can't be reached at all, from here or now. */
  isUnreachable(error: unknown): boolean;
}

/**
 * Imports the door that `ref` names, in whichever thread asks. `Door` is what the port's contract
 * says of it.
 *
 * @throws QmtlError CONFIG_INVALID if the module does not export it.
 */
export async function openByRef<Door>(ref: ConnectorRef): Promise<Door> {
  const module = await importModule(ref.module);
  const door = module[ref.export];
  if (typeof door !== "function") {
    throw new QmtlError(
      "CONFIG_INVALID",
      `Cannot open "${ref.url}": its connector has no ${ref.export}, wanted one`,
    );
  }
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the connector index names the door
  return door as Door;
}

/**
 * The connectors, by their public name: the one dynamic import across rooms. `runtime/` names them,
 * it does not know them.
 */
export async function loadConnectors(): Promise<ConnectorIndex> {
  const { connectors } = await importModule("qmtl/connectors");
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- `connectors/index.ts` declares it
  return connectors as ConnectorIndex;
}
