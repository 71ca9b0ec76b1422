import { openExchange } from "../../connectors/binance/index.ts";
import {
  type ExchangeSimulator,
  type SimulatorOptions,
  startExchangeSimulator,
} from "../../connectors/simulated/index.ts";
import { type ConnectorIndex } from "../../runtime/index.ts";

/** Settings of the client that a test changes. */
export type ClientSettings = Omit<Parameters<typeof openExchange>[0] & object, "baseUrl">;

/** Connectors whose exchange is the server at `url`, whatever is chosen. */
export function exchangeAt(
  url: string,
  settings: ClientSettings = {},
): Pick<ConnectorIndex, "openExchange"> {
  return {
    // oxlint-disable-next-line eslint/require-await -- the port is asynchronous
    openExchange: async (_choice, { onNotice }) =>
      openExchange({
        ...settings,
        ...(onNotice === undefined ? {} : { onNotice }),
        baseUrl: url,
      }),
  };
}

/** A simulator that closes at the end of the block that holds it (`await using`). */
export async function servedExchange(
  options: SimulatorOptions,
): Promise<ExchangeSimulator & AsyncDisposable> {
  const simulator = await startExchangeSimulator(options);
  return Object.assign(simulator, { [Symbol.asyncDispose]: async () => await simulator.close() });
}
