import { defineCommand } from "citty";
import { faultKinds, startExchangeSimulator } from "qmtl/connectors/simulated";
import { reasonOf } from "../../core/clock.ts";
import { runGuarded } from "../guard.ts";

/** `qmtl exchange`: an exchange on loopback, from recorded or generated bars, faults on order. */
export const exchangeCommand = defineCommand({
  meta: {
    name: "exchange",
    description: "Serve Binance's kline API on loopback, from recorded or generated bars",
  },
  args: {
    recorded: { type: "string", description: "Folder of SYMBOL-INTERVAL-*.csv files" },
    seed: { type: "string", description: "Seed of generated bars (default 1)" },
    port: { type: "string", description: "TCP port on 127.0.0.1 (default: a free one)" },
    faults: {
      type: "string",
      description: `429:every=10,retryAfter=2, several by ; (${faultKinds.join(" ")})`,
    },
    json: { type: "boolean", description: "Print the URL as JSON" },
  },
  run: async ({ args }) => {
    await runGuarded(async (signal) => {
      const simulator = await startExchangeSimulator({
        source:
          args.recorded === undefined
            ? { kind: "generated", seed: Number(args.seed ?? 1) }
            : { kind: "recorded", directory: args.recorded },
        port: Number(args.port ?? 0),
        faults: (args.faults ?? "").split(";").filter((fault) => fault !== ""),
      });
      try {
        const line = `${simulator.url} (QMTL_BINANCE_URL=${simulator.url}); end with Ctrl-C`;
        console.log(args.json === true ? JSON.stringify({ url: simulator.url }) : line);
        await new Promise<void>((resolve) => {
          signal.addEventListener("abort", () => resolve(), { once: true });
        });
        console.error(reasonOf(signal).message);
      } finally {
        await simulator.close();
      }
    });
  },
});
